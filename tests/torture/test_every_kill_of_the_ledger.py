"""Every call of a lander, a compactor and a keeper, killed there or refused, one after the other."""

from pathlib import Path

import pytest

from tests.crash.conftest import landed_ledger, ledger_killer, memory, merged_ledger, spoilt  # noqa: F401
from tests.crash.killed_ledger import Killer, copied, landed_once, nothing_left_over, points
from tests.crash.test_lander_killed import REFUSABLE

pytestmark = pytest.mark.needs("strace")


def test_a_lander_killed_at_each_call_lands_everything_once(ledger_killer: Killer, spoilt: Path):  # noqa: F811
    calls = ledger_killer.calls("land", spoilt / "undisturbed" / "ledger")
    assert len(points(calls)) >= 100
    for call, nth in points(calls):
        ledger = spoilt / f"{call}-{nth}" / "ledger"
        assert ledger_killer.run("land", ledger, inject=f"{call}:signal=KILL:when={nth}") in (-9, 0), (call, nth)
        landed_once(ledger)
        nothing_left_over(ledger)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS", "EDQUOT"])
def test_a_lander_refused_each_call_goes_on(ledger_killer: Killer, spoilt: Path, error: str):  # noqa: F811
    calls = ledger_killer.calls("land", spoilt / "undisturbed" / "ledger")
    for call, nth in points({call: calls[call] for call in REFUSABLE}):
        ledger = spoilt / f"{call}-{nth}" / "ledger"
        assert ledger_killer.run("land", ledger, inject=f"{call}:error={error}:when={nth}") == 0, (call, nth)
        landed_once(ledger)
        nothing_left_over(ledger)


@pytest.mark.parametrize("work", ["compact", "keep"])
def test_a_keeper_killed_at_each_call_changes_no_row(
    ledger_killer: Killer,  # noqa: F811
    landed_ledger: Path,  # noqa: F811
    merged_ledger: Path,  # noqa: F811
    spoilt: Path,  # noqa: F811
    work: str,
):
    template = {"compact": landed_ledger, "keep": merged_ledger}[work]
    calls = ledger_killer.calls(work, copied(template, spoilt / "undisturbed"))
    for call, nth in points(calls):
        ledger = copied(template, spoilt / f"{call}-{nth}")
        assert ledger_killer.run(work, ledger, inject=f"{call}:signal=KILL:when={nth}") in (-9, 0), (call, nth)
        landed_once(ledger)
        nothing_left_over(ledger)
