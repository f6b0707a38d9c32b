"""Rows go when their project keeps them no longer; what proves them stays."""

import pytest

from warehouse.delta_log import DeltaLog
from warehouse.retention import QUARANTINE_DAYS, expire
from warehouse.testing import a_landing

DAY_S = 86_400


@pytest.fixture
def two_projects(lander, compactor):
    lander.land(a_landing(range(6), project="keeps"))
    lander.land(a_landing(range(6), project="forgets", partition=1))
    compactor.compact()
    return compactor


def held(ask) -> dict[str, int]:
    rows = ask(
        """
        SELECT project_id || ' decisions' AS what, count(*) AS held FROM decisions GROUP BY 1
        UNION ALL SELECT project_id || ' quarantine', count(*) FROM quarantine GROUP BY 1
        UNION ALL SELECT project_id || ' tallies', count(*) FROM tallies GROUP BY 1
        """
    )
    return {row["what"]: row["held"] for row in rows}


def test_nothing_goes_before_its_days_are_over(two_projects, clock, ask):
    clock.advance(5 * DAY_S)
    assert expire(two_projects, {"forgets": {"decision": 6}}) == 0
    assert held(ask)["forgets decisions"] == 18


def test_one_projects_decisions_go_and_anothers_stay_in_the_same_file(two_projects, clock, ask):
    clock.advance(6 * DAY_S)
    assert expire(two_projects, {"forgets": {"decision": 5}}) == 18
    after = held(ask)
    assert "forgets decisions" not in after
    assert (after["keeps decisions"], after["forgets tallies"], after["keeps quarantine"]) == (18, 6, 2)
    assert expire(two_projects, {"forgets": {"decision": 5}}) == 0


def test_quarantine_goes_after_a_week_unless_a_project_says_otherwise(two_projects, clock, ask):
    clock.advance((QUARANTINE_DAYS + 1) * DAY_S)
    assert expire(two_projects, {"keeps": {"quarantine": 30}}) == 2
    after = held(ask)
    assert "forgets quarantine" not in after
    assert after["keeps quarantine"] == 2


def test_a_file_of_which_nothing_is_kept_is_taken_out_of_the_list(two_projects, clock, ledger):
    clock.advance((QUARANTINE_DAYS + 1) * DAY_S)
    expire(two_projects, {})
    assert not [file for file in DeltaLog(ledger).files.values() if file.kind == "quarantine"]


def test_tallies_outlive_every_setting(two_projects, clock, ask):
    clock.advance(1_000 * DAY_S)
    expire(two_projects, {"keeps": {"tally": 1}, "forgets": {"tally": 1}})
    assert held(ask)["keeps tallies"] == held(ask)["forgets tallies"] == 6
