"""Merging: the same rows in few files, whoever else writes or merges meanwhile."""

import hashlib

import duckdb
import pyarrow.parquet as pq
import pytest

from warehouse.compaction import Compactor, Content
from warehouse.delta_log import DeltaLog
from warehouse.file_names import sha256_in
from warehouse.files import is_landed
from warehouse.testing import DECISIONS, a_landing, decision_id, ids

EVERYTHING = """
SELECT 'decision' AS kind, count(*)::BIGINT AS held, bit_xor(hash(d))::VARCHAR AS digest FROM decisions AS d
UNION ALL SELECT 'outcome', count(*), bit_xor(hash(o))::VARCHAR FROM outcomes AS o
UNION ALL SELECT 'finding', count(*), bit_xor(hash(f))::VARCHAR FROM findings AS f
UNION ALL SELECT 'tally', count(*), bit_xor(hash(t))::VARCHAR FROM tallies AS t
UNION ALL SELECT 'quarantine', count(*), bit_xor(hash(q))::VARCHAR FROM quarantine AS q
UNION ALL SELECT 'minute', sum(counted), bit_xor(hash(m))::VARCHAR FROM (
  SELECT * EXCLUDE (decisions, with_findings), sum(decisions) AS counted, sum(with_findings) AS found FROM rollup_minute GROUP BY ALL
) AS m
UNION ALL SELECT 'detail', sum(decisions), NULL FROM rollup_detail
ORDER BY kind
"""


def land_many(lander, messages: int, start: int = 0, **changes) -> None:
    for offset in range(start, start + messages):
        lander.land(a_landing(range(offset, offset + 1), **changes))


def test_merging_changes_no_row_and_no_count(lander, compactor, ask):
    land_many(lander, 12)
    before = ask(EVERYTHING)
    compactor.compact()
    assert ask(EVERYTHING) == before
    assert {row["kind"]: row["held"] for row in before} == {
        "decision": 36, "outcome": 12, "finding": 12, "tally": 12, "quarantine": 3, "minute": 36, "detail": 36,
    }  # fmt: skip


def test_after_a_pass_each_kind_has_one_file_and_nothing_is_left_to_merge(lander, compactor, ledger):
    land_many(lander, 12)
    assert compactor.compact() == 12 * 5 + 3 + 1  # and the file of detail that the pass itself made
    files = DeltaLog(ledger).files.values()
    assert sorted(file.kind for file in files) == ["decision", "finding", "outcome", "quarantine", "rollup", "tally"]
    assert not any(map(is_landed, files))
    assert compactor.compact() == 0


def test_detail_is_counted_once_for_each_decision_however_often_it_is_merged(lander, compactor, ask):
    stored = "SELECT coalesce(sum(decisions), 0)::BIGINT AS n FROM rows_of(getvariable('rollup_files')) WHERE grain = 'detail'"
    seen = "SELECT sum(decisions)::BIGINT AS n FROM rollup_detail"
    for round_ in range(4):
        land_many(lander, 3, start=3 * round_)
        assert ask(stored) == [{"n": 9 * round_}]
        assert ask(seen) == [{"n": 9 * (round_ + 1)}]
        compactor.compact()
        assert ask(stored) == ask(seen) == [{"n": 9 * (round_ + 1)}]


def test_detail_is_seen_from_the_moment_its_decisions_are_merged(lander, compactor, ask):
    land_many(lander, 3)
    inputs = refreshed(compactor)
    merged = Content(macro="merged_decision", kind="decision", inputs=inputs)
    detail = Content(macro="added_detail", kind="rollup", inputs=inputs, stage="d", is_new=True)
    assert exchanged(compactor, inputs[0].month, inputs, [merged, detail])
    assert ask("SELECT sum(decisions)::BIGINT AS n FROM rollup_detail") == [{"n": 9}]
    compactor.compact()
    assert ask("SELECT sum(decisions)::BIGINT AS n FROM rollup_detail") == [{"n": 9}]


def test_detail_stored_is_what_would_be_counted_of_the_decisions(lander, compactor, ask):
    detail = "SELECT * FROM rollup_detail ORDER BY ALL"
    land_many(lander, 3, resource="file:///home/ada/123456789/notes", agent_id=None)
    land_many(lander, 3, start=3, resource="model/gpt-5.4")
    before = ask(detail)
    compactor.compact()
    assert ask(detail) == before
    assert {row["resource_label"] for row in before} == {"file:///home/ada/…/notes", "model/gpt-5.4"}


def test_rows_that_land_while_a_merge_is_written_stay(lander, compactor, ask):
    land_many(lander, 3)
    inputs = refreshed(compactor)
    land_many(lander, 2, start=3)
    assert exchanged(compactor, inputs[0].month, inputs, [Content(macro="merged_decision", kind="decision", inputs=inputs)])
    assert ask("SELECT count(DISTINCT decision_id) AS ids, count(*) AS held FROM decisions") == [{"ids": 15, "held": 15}]


def exchanged(compactor, month, inputs, contents) -> bool:
    with compactor.database() as database:
        return compactor.exchange(database, month, inputs, contents)


def refreshed(compactor):
    compactor.log.refresh()
    return tuple(file for file in compactor.log.files.values() if file.kind == "decision")


def test_of_two_merges_of_the_same_files_one_is_made(lander, compactor, ledger, clock, ask):
    land_many(lander, 3)
    other = Compactor(ledger, clock=clock, new_id=ids(1 << 40))
    inputs = refreshed(compactor)
    contents = [Content(macro="merged_decision", kind="decision", inputs=inputs)]
    assert exchanged(other, inputs[0].month, inputs, contents)
    assert not exchanged(compactor, inputs[0].month, inputs, contents)
    assert ask("SELECT count(*) AS held FROM decisions") == [{"held": 9}]
    assert {str(path.relative_to(ledger)) for path in ledger.glob("kind=decision/*/m-*")} == {
        path for path, file in DeltaLog(ledger).files.items() if file.kind == "decision"
    }


def test_merged_rows_are_sorted_by_project_agent_and_time(lander, compactor, ledger):
    lander.land(a_landing(range(3), project="b", agent_id="x"))
    lander.land(a_landing(range(3), partition=1, project="a", agent_id="y"))
    lander.land(a_landing(range(3, 6), project="a", agent_id="x"))
    compactor.compact()
    (file,) = (file for file in DeltaLog(ledger).files.values() if file.kind == "decision")
    rows = pq.read_table(ledger / file.path, columns=["project_id", "agent_id", "occurred_at"], partitioning=None).to_pylist()
    keys = [tuple(row.values()) for row in rows]
    assert keys == sorted(keys)
    assert (file.rows, file.min_values["project_id"], file.max_values["project_id"]) == (9 * DECISIONS, "a", "b")


def test_merged_files_have_a_bloom_filter_on_ids_and_are_what_their_names_say(lander, compactor, ledger):
    land_many(lander, 3)
    compactor.compact()
    files = DeltaLog(ledger).files.values()
    for file in files:
        assert hashlib.sha256((ledger / file.path).read_bytes()).hexdigest() == sha256_in(file.path)
    (decisions,) = (file for file in files if file.kind == "decision")
    with_ids = pq.ParquetFile(ledger / decisions.path)
    columns = [with_ids.metadata.row_group(0).column(i) for i in range(with_ids.metadata.num_columns)]
    assert [column.path_in_schema for column in columns if column.bloom_filter_offset] == ["decision_id"]


def test_a_decision_is_found_by_its_id_in_merged_files(lander, compactor, ask):
    land_many(lander, 3)
    compactor.compact()
    wanted = decision_id(0, 1, 2)
    found = ask("SELECT id_text(decision_id) AS id FROM decisions WHERE decision_id = id_blob($id)", id=wanted)
    assert found == [{"id": wanted}]


def test_months_are_merged_apart(lander, compactor, ledger):
    land_many(lander, 2, at=1_793_491_199_000_000)  # the second is received in November
    compactor.compact()
    assert sorted(file.month for file in DeltaLog(ledger).files.values() if file.kind == "decision") == ["2026-10", "2026-11"]


def test_a_failed_merge_leaves_nothing_behind(lander, compactor, ledger):
    land_many(lander, 2)
    inputs = refreshed(compactor)
    contents = [Content(macro=macro, kind="decision", inputs=inputs) for macro in ("merged_decision", "no_such_macro")]
    with pytest.raises(duckdb.CatalogException, match="no_such_macro"):
        exchanged(compactor, inputs[0].month, inputs, contents)
    assert not list((ledger / "_staging").iterdir())
    assert not list(ledger.glob("kind=decision/*/m-*"))
