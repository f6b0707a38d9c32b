"""A compactor or keeper killed anywhere changes no row, and what it left half done is done by the next."""

from pathlib import Path
from random import Random

import pytest

from tests.crash.killed_ledger import Killer, copied, landed_once, nothing_left_over, points
from warehouse.delta_log import DeltaLog
from warehouse.files import is_landed

pytestmark = pytest.mark.needs("strace")
KILLS = 8  # a slice; `make torture` goes through all of them


@pytest.mark.parametrize("work", ["compact", "keep"])
def test_a_keeper_killed_at_any_call_changes_no_row(
    ledger_killer: Killer, landed_ledger: Path, merged_ledger: Path, spoilt: Path, work: str
):
    template = {"compact": landed_ledger, "keep": merged_ledger}[work]
    calls = ledger_killer.calls(work, copied(template, spoilt / "undisturbed"))
    assert sum(calls.values()) > 20, calls
    stops, killed = points(calls), 0
    for number, (call, nth) in enumerate(Random(3).sample(stops, len(stops))):
        ledger = copied(template, spoilt / str(number))
        killed += ledger_killer.run(work, ledger, inject=f"{call}:signal=KILL:when={nth}") == -9
        landed_once(ledger)
        assert ledger_killer.run("compact", ledger) == 0
        assert not any(map(is_landed, DeltaLog(ledger).files.values()))
        landed_once(ledger)
        nothing_left_over(ledger)
        if killed == KILLS:
            return
    pytest.fail(f"only {killed} of {len(stops)} runs came to their call")  # some do not: a library's threads share the work as they wake
