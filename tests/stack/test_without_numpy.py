"""The worker needs neither numpy nor pandas: what brings them is the dashboards' extra."""

import os
import subprocess
import sys
from pathlib import Path

LANDS = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from pathlib import Path
from processors.embedded import open_worker
from processors.settings import Settings
from tests import traffic
from topics.sqlite import SqliteLog
home = Path(sys.argv[1])
log = SqliteLog(home / "log.db")
many = list(traffic.messages(3, 120))
for part in (many[:60], many[60:]):
    traffic.append_all(log, part)
    worker = open_worker(Settings(home=home), log)  # each looks up the producers that the one before it landed
    while worker.tick() != "idle":
        pass
traffic.assert_conserved(traffic.contents(Settings(home=home).ledger_path), log)
"""


def test_messages_land_and_are_asked_for_without_numpy(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", LANDS, tmp_path], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
