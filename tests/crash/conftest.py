"""A process that forks others to be killed, and ledgers to spoil copies of."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.killed_ledger import MESSAGES, NOW, Killer, killer
from warehouse.compaction import Compactor
from warehouse.lander import Lander
from warehouse.testing import a_landing, ids


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: kills are as good there, and a disk that others wait for is not in the way."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None, prefix="cz-crash-") as folder:
        yield Path(folder)


@pytest.fixture
def spoilt(memory: Path) -> Iterator[Path]:
    """A folder for the ledgers of one test."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def ledger_killer(memory: Path) -> Iterator[Killer]:
    with killer(memory) as one:
        yield one


@pytest.fixture(scope="session")
def landed_ledger(memory: Path) -> Path:
    """A ledger of six landings, none merged."""
    ledger = memory / "landed" / "warehouse" / "ledger"
    lander = Lander(ledger, clock=lambda: NOW, new_id=ids())
    for offset in range(MESSAGES):
        lander.land(a_landing(range(offset, offset + 1)))
    return ledger.parent


@pytest.fixture(scope="session")
def merged_ledger(landed_ledger: Path, memory: Path) -> Path:
    """The same merged, with the replaced files still there."""
    folder = memory / "merged" / "warehouse"
    shutil.copytree(landed_ledger, folder)
    Compactor(folder / "ledger", clock=lambda: NOW, new_id=ids(1 << 60)).compact()
    return folder
