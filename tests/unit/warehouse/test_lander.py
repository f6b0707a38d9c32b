"""Landing: what messages caused and their offsets, once, whoever lands them."""

import hashlib
import threading
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from controlzero.errors import Rejected, Unavailable
from controlzero.testing import SettableClock
from warehouse.delta_log import DeltaLog
from warehouse.file_names import sha256_in
from warehouse.lander import Lander, Landing, OffsetGap
from warehouse.schema import table_schema
from warehouse.testing import DECISIONS, a_landing, an_app_id, decision_id, ids, together
from warehouse.verification import damages

COUNTS = """
SELECT
  (SELECT count(*) FROM decisions)::BIGINT AS decisions, (SELECT count(*) FROM outcomes)::BIGINT AS outcomes,
  (SELECT count(*) FROM findings)::BIGINT AS findings, (SELECT count(*) FROM tallies)::BIGINT AS tallies,
  (SELECT count(*) FROM quarantine)::BIGINT AS quarantine,
  (SELECT coalesce(sum(decisions), 0) FROM rollup_minute)::BIGINT AS counted
"""


def counts(messages: int) -> dict[str, int]:
    return {
        "decisions": DECISIONS * messages,
        "outcomes": messages,
        "findings": messages,
        "tallies": messages,
        "quarantine": -(-messages // 5),
        "counted": DECISIONS * messages,
    }


def test_a_landing_lands_every_kind_and_its_offset_in_one_version(lander, ledger, ask):
    before = DeltaLog(ledger).version
    assert lander.land(a_landing(range(4))) == before + 1
    assert lander.landed([an_app_id()]) == {an_app_id(): 4}
    assert ask(COUNTS) == [counts(4)]


def test_an_app_id_that_never_landed_is_left_out(lander):
    assert lander.landed([an_app_id(), an_app_id(1)]) == {}


def test_a_landing_again_changes_nothing(lander, ledger, ask):
    version = lander.land(a_landing(range(4)))
    assert lander.land(a_landing(range(4))) == version
    assert lander.land(a_landing(range(1, 3))) == version
    assert ask(COUNTS) == [counts(4)]


def test_what_of_a_landing_has_landed_is_dropped_and_the_rest_lands(lander, ask):
    lander.land(a_landing(range(3)))
    lander.land(a_landing(range(1, 6)))
    assert ask(COUNTS) == [counts(6)]


def test_only_the_partitions_that_lag_land_of_a_landing_of_several(lander, ask):
    lander.land(a_landing(range(3), partition=0))
    lander.land(together([a_landing(range(2), partition=0), a_landing(range(2), partition=1), a_landing(range(4), partition=2)]))
    assert lander.landed(map(an_app_id, range(3))) == {an_app_id(0): 3, an_app_id(1): 2, an_app_id(2): 4}
    assert ask("SELECT count(DISTINCT decision_id) AS ids, count(*) AS decisions FROM decisions") == [{"ids": 27, "decisions": 27}]


def test_a_landing_beyond_the_landed_offset_is_refused_with_where_to_go_back_to(lander, ask):
    lander.land(a_landing(range(3)))
    with pytest.raises(OffsetGap, match="landed up to 3, the landing begins at 4") as refused:
        lander.land(a_landing(range(4, 6)))
    assert refused.value.landed == 3
    assert ask(COUNTS) == [counts(3)]


def test_a_log_that_starts_late_lands_from_its_start(lander):
    lander.land(a_landing(range(70, 72)))
    assert lander.landed([an_app_id()]) == {an_app_id(): 72}


def test_messages_that_caused_nothing_still_move_the_offset(lander):
    lander.land(Landing(tables={}, offsets={an_app_id(): (0, 5)}))
    assert lander.landed([an_app_id()]) == {an_app_id(): 5}


def test_two_landers_of_the_same_messages_land_them_once(lander, ledger, clock, ask):
    other = Lander(ledger, clock=clock, new_id=ids(1 << 20))
    lander.land(a_landing(range(2)))
    other.land(a_landing(range(4)))
    lander.land(a_landing(range(5)))
    assert ask(COUNTS) == [counts(5)]


def test_landers_that_race_land_everything_once(ledger, clock, ask):
    def land(number: int) -> None:
        own = Lander(ledger, clock=clock, new_id=ids(number << 20))
        for offset in range(8):
            own.land(a_landing(range(offset, offset + 2)))

    Lander(ledger, clock=clock, new_id=ids())
    threads = [threading.Thread(target=land, args=[number]) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(COUNTS) == [counts(9)]


def test_files_of_a_lost_race_do_not_stay(ledger, lander, clock):
    other = Lander(ledger, clock=clock, new_id=ids(1 << 20))
    for offset in range(3):
        lander.land(a_landing(range(offset, offset + 1)))
        other.land(a_landing(range(offset + 1)))
    listed = set(DeltaLog(ledger).files)
    assert {str(path.relative_to(ledger)) for path in ledger.rglob("kind=*/**/*.parquet")} == listed


def test_a_lost_race_writes_no_file_anew(ledger, clock, ask):
    other = Lander(ledger, clock=clock, new_id=ids(1 << 20))
    races = iter([1, 2])
    named = count()

    def while_others_land() -> int:
        if partition := next(races, None):
            other.land(a_landing(range(2), partition=partition))
        return clock()

    lander = Lander(ledger, clock=while_others_land, new_id=lambda: f"{next(named):032x}")
    lander.land(a_landing(range(2)))
    assert next(named) == 6 + 2  # a name for each file, and for each attempt to commit
    assert ask("SELECT count(*) AS n FROM decisions") == [{"n": 2 * 2 * DECISIONS}]


def test_a_name_used_again_takes_nothing_from_the_file_that_has_it(ledger, clock, ask):
    lander = Lander(ledger, clock=clock, new_id=lambda: "0" * 32)
    lander.land(a_landing(range(1)))
    with pytest.raises(Unavailable, match="File exists"):
        lander.land(a_landing(range(1), partition=1))  # its rollup has the same bytes
    assert list(damages(ledger)) == []
    assert ask(COUNTS) == [counts(1)]


def test_rows_of_two_months_land_in_two_partitions(lander, ledger):
    month_end = 1_793_491_199_000_000  # 2026-10-31T23:59:59Z
    lander.land(a_landing(range(3), at=month_end))
    assert {file.month for file in DeltaLog(ledger).files.values()} == {"2026-10", "2026-11"}


def test_a_row_of_no_message_of_the_landing_is_refused(lander):
    whole = a_landing(range(3))
    with pytest.raises(Rejected, match="offsets 0 to 2; the landing covers 0 up to 2"):
        lander.land(Landing(tables=whole.tables, offsets={an_app_id(): (0, 2)}))


def test_a_finding_without_its_message_is_refused(lander):
    whole = a_landing(range(1))
    finding = whole.tables["finding"]
    place = finding.schema.get_field_index("log_offset")
    unplaced = finding.set_column(place, finding.schema.field(place), pa.nulls(finding.num_rows, pa.int64()))
    with pytest.raises(Rejected, match="kind `finding` has rows of partition 0, offsets None to None"):
        lander.land(Landing(tables={"finding": unplaced}, offsets=whole.offsets))


def test_rollups_from_outside_are_refused(lander):
    whole = a_landing(range(1))
    with pytest.raises(Rejected, match="holds no rollups"):
        lander.land(Landing(tables={"rollup": whole.tables["tally"]}, offsets=whole.offsets))


def test_other_columns_than_the_kinds_are_refused(lander):
    whole = a_landing(range(1))
    with pytest.raises(Rejected, match="other columns"):
        lander.land(Landing(tables={"tally": whole.tables["outcome"]}, offsets=whole.offsets))


def test_every_file_is_what_its_name_says(lander, ledger):
    lander.land(a_landing(range(3)))
    files = list(DeltaLog(ledger).files)
    assert len(files) == 6
    assert [sha256_in(name) for name in files] == [hashlib.sha256((ledger / name).read_bytes()).hexdigest() for name in files]


def test_any_delta_reader_can_open_the_ledger(lander, ledger):
    lander.land(a_landing(range(3)))
    table = DeltaTable(str(ledger))
    assert table.transaction_version(an_app_id()) == 3
    rows = table.to_pyarrow_table(filters=[("kind", "=", "decision")], columns=["decision_id", "received_month", "occurred_at"])
    assert rows.num_rows == 3 * DECISIONS
    assert rows["decision_id"][0].as_py().hex() == decision_id(0, 0, 0).replace("-", "")


def test_a_lander_opened_again_goes_on(ledger: Path, clock: SettableClock, ask):
    for offset in range(3):
        lander = Lander(ledger, clock=clock, new_id=ids(offset << 20))
        lander.land(a_landing(range(offset, offset + 1)))
    assert ask(COUNTS) == [counts(3)]


def test_a_ledger_from_before_a_column_was_added_gains_it(ledger, clock, ask):
    older = pa.schema([field for field in table_schema() if field.name not in ("candidates", "found")])
    DeltaTable.create(str(ledger), older, partition_by=["kind", "received_month"])
    for start in range(2):
        Lander(ledger, clock=clock, new_id=ids(start << 20)).land(a_landing(range(start, start + 1)))
    assert {field.name for field in DeltaTable(str(ledger)).schema().fields} == set(table_schema().names)
    assert len(list((ledger / "_delta_log").glob("*.json"))) == 4  # made, grown, and landed twice
    assert ask(COUNTS) == [counts(2)]
