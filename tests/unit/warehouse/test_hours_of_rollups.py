import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.ledgers import grown_home
from warehouse.compaction import Compactor
from warehouse.snapshot import Session, Warehouse

NOW_US = 1_795_215_600_000_000 + 23 * 60_000_000
NOW = datetime.fromisoformat("2026-11-20T23:23:00+00:00")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = grown_home(tmp_path_factory.mktemp("hours"), now_us=int(NOW.timestamp() * 1e6), per_day=80).home
    return home / "warehouse" / "ledger"


@pytest.fixture(scope="module", params=["as landed", "compacted"])
def session(request: pytest.FixtureRequest, ledger: Path) -> Session:
    if request.param == "compacted":
        new_id = iter(f"{i:032x}" for i in range(1_000))
        Compactor(ledger, clock=lambda: NOW_US, new_id=lambda: next(new_id)).compact()
    return Warehouse.open(ledger).session("default")


def count(session: Session, source: str, window: dict[str, datetime]) -> int:
    return int(session.sql(f"SELECT coalesce(sum(decisions), 0)::BIGINT AS n FROM {source}", window).to_pylist()[0]["n"])


def test_any_stretch_of_time_counts_what_its_decisions_are(session: Session) -> None:
    choose = random.Random(7)
    for minutes in (1, 29, 59, 60, 61, 119, 120, 121, 1_439, 1_440, 10_080, 20_160):
        from_at = NOW - timedelta(minutes=minutes + choose.randrange(1_440))
        window = {"from_at": from_at, "until_at": from_at + timedelta(minutes=minutes)}
        counted = count(session, "rollup_between($from_at, $until_at)", window)
        in_decisions = count(
            session, "(SELECT 1 AS decisions FROM decisions WHERE occurred_at >= $from_at AND occurred_at < $until_at)", window
        )
        assert counted == in_decisions, window


def test_whole_hours_are_one_row_for_each_agent_action_and_rule(session: Session) -> None:
    rows = session.sql("SELECT count(*) AS n FROM rollup_hour WHERE epoch_us(occurred_minute) % 3600000000 <> 0", {}).to_pylist()
    assert rows == [{"n": 0}]


def test_what_was_found_is_counted_with_its_decisions(session: Session) -> None:
    found = session.sql(
        "SELECT sum(decisions)::BIGINT AS n FROM rollup_hour WHERE list_contains(string_split(found, ' '), 'payment_card')", {}
    ).to_pylist()
    in_decisions = session.sql("SELECT count(*) AS n FROM decisions WHERE list_contains(finding_types, 'payment_card')", {}).to_pylist()
    assert found == in_decisions != [{"n": 0}]
