"""A lander killed anywhere, or refused by the disk, loses nothing and lands nothing twice."""

from pathlib import Path
from random import Random

import pytest

from tests.crash.killed_ledger import Killer, landed_once, nothing_left_over, points

pytestmark = pytest.mark.needs("strace")
KILLS, FAULTS = 16, 5  # a slice; `make torture` goes through all of them
REFUSABLE = ("fsync", "link", "mkdir", "unlink")  # a disk truly full or read-only: test_ledger_disk.py


def test_a_lander_killed_at_any_call_lands_everything_once(ledger_killer: Killer, spoilt: Path):
    calls = ledger_killer.calls("land", spoilt / "undisturbed" / "ledger")
    assert sum(calls.values()) > 60
    stops, killed = points(calls), 0
    for number, (call, nth) in enumerate(Random(1).sample(stops, len(stops))):
        ledger = spoilt / str(number) / "ledger"
        killed += ledger_killer.run("land", ledger, inject=f"{call}:signal=KILL:when={nth}") == -9
        landed_once(ledger)
        nothing_left_over(ledger)
        if killed == KILLS:
            return
    pytest.fail(f"only {killed} of {len(stops)} runs came to their call")  # some do not: a library's threads share the work as they wake


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
def test_a_lander_whose_disk_refuses_a_call_goes_on_when_it_takes_it_again(ledger_killer: Killer, spoilt: Path, error: str):
    calls = ledger_killer.calls("land", spoilt / "undisturbed" / "ledger")
    refusable = {call: calls[call] for call in REFUSABLE}
    for number, (call, nth) in enumerate(Random(2).sample(points(refusable), FAULTS)):
        ledger = spoilt / str(number) / "ledger"
        assert ledger_killer.run("land", ledger, inject=f"{call}:error={error}:when={nth}") == 0, (call, nth)
        landed_once(ledger)
        nothing_left_over(ledger)
