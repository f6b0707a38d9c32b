"""Our SDK against the vendor's (`controlzero` from the registry, in an environment of its own), each in processes of its own, in turn.

`guard()` under a local policy of 10 and of 500 rules whose last but one decides, the same call with 200 bytes of arguments, both
recording: theirs a line of a chained log, ours a redacted record in the spool. Starting: what `import controlzero` takes, what a
`Client` at hand takes, and what both add to a bare interpreter's memory. Theirs gets a home without settings and nothing to call.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.guard import ARGS
from benchmarks.measure import ROUNDS_MIN, Result
from benchmarks.peers.environment import vendor_python

ROOT = Path(__file__).parents[1]
DRIVERS = Path(__file__).parent / "peers"
GUARD_BAR = 50.0  # times as many calls a second
OUR_CALLS, THEIR_CALLS = 10_000, 200
IMPORTS = ("import controlzero", "from controlzero import Client")
STARTING = """
import time
def resident_mb():
    with open("/proc/self/status") as status:  # ru_maxrss would begin with what the parent had
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024
bare_mb = resident_mb()
before = time.perf_counter()
{code}
took_ms = (time.perf_counter() - before) * 1e3
print([took_ms, resident_mb() - bare_mb])
"""


def run(rounds: int) -> list[Result]:
    """Measure both; the figures are medians of rounds."""
    ours, theirs = Path(sys.executable), vendor_python()
    results = []
    for rules in (10, 500):
        pairs = [
            (
                _asked(ours, [DRIVERS / "our_driver.py", rules, OUR_CALLS, json.dumps(ARGS)]),
                _asked(theirs, [DRIVERS / "vendor_driver.py", rules, THEIR_CALLS, json.dumps(ARGS)]),
            )
            for _ in range(_rounds(rounds))
        ]
        note = f"1 over the p50 of a call; {OUR_CALLS:,} of ours and {THEIR_CALLS} of theirs a round, both recorded"
        rates = [(1e6 / mine[0], 1e6 / other[0]) for mine, other in pairs]
        results.append(_compared(f"guard(), {rules} rules", rates, "calls/s", GUARD_BAR, note, higher_is_better=True))
    for code in IMPORTS:
        started = STARTING.format(code=code)
        pairs = [(_asked(ours, ["-c", started]), _asked(theirs, ["-c", started])) for _ in range(_rounds(rounds))]
        results.append(_compared(f"{code}: time", [(mine[0], other[0]) for mine, other in pairs], "ms", 1.0, "in a new process"))
        results.append(_compared(f"{code}: memory", [(mine[1], other[1]) for mine, other in pairs], "MB", 1.0, "beyond a bare interpreter"))
    return results


def _rounds(asked: int) -> int:
    return max(asked, ROUNDS_MIN) + 1  # the first warms the disk's cache up


def _asked(python: Path, arguments: Sequence[object]) -> list[float]:
    """Run a program in a folder and a home of its own, and return the numbers it prints last."""
    with tempfile.TemporaryDirectory(prefix="cz-vendor-", dir=ROOT) as folder:  # on the project's disk: /tmp may be memory
        said = subprocess.run(
            [str(python), *map(str, arguments)],
            cwd=folder,
            env={"HOME": folder, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where the vendor's SDK writes each decision once more
            text=True,
            check=True,
        )
    numbers: list[float] = json.loads(said.stdout.splitlines()[-1])
    return numbers


def _compared(
    name: str, pairs: Sequence[tuple[float, float]], unit: str, bar: float, note: str, *, higher_is_better: bool = False
) -> Result:
    measured = pairs[1:]
    ours, theirs = (statistics.median(side) for side in zip(*measured, strict=True))
    ratio = statistics.median(mine / other for mine, other in measured)
    return Result(name=name, ours=ours, reference=theirs, ratio=ratio, bar=bar, unit=unit, higher_is_better=higher_is_better, note=note)
