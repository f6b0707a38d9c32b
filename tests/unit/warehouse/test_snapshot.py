"""Reading: a project sees its rows and no other's, of one version, whatever happens to files meanwhile."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from controlzero.errors import Rejected, Unavailable
from warehouse.delta_log import DeltaLog
from warehouse.duck import file_lists_of
from warehouse.kinds import KINDS
from warehouse.schema import arrow_schema
from warehouse.snapshot import FILE_LISTS, FILES_PER_DATABASE, Warehouse, query_names, query_text
from warehouse.testing import a_landing, an_app_id

VIEWS = ("decisions", "decisions_with_outcomes", "outcomes", "findings", "quarantine", "tallies", "rollup_minute", "rollup_detail")


@pytest.fixture
def warehouse(lander, ledger):
    warehouse = Warehouse.open(ledger, threads=1)
    yield warehouse
    warehouse.close()


def count(session, view: str = "decisions") -> int:
    return session.sql(f"SELECT count(*) AS n FROM {view}", {}).to_pylist()[0]["n"]


def columns(session, view: str) -> list[str]:
    return session.sql(f"SELECT * FROM {view} LIMIT 0", {}).column_names


def test_a_ledger_not_there_yet_is_empty_with_all_its_columns(ledger):
    warehouse = Warehouse.open(ledger, threads=1)
    session = warehouse.session("default")
    assert session.refresh() == -1
    assert [count(session, view) for view in VIEWS] == [0] * len(VIEWS)
    assert set(arrow_schema("decision").names) | {"shown_verdict", "month", "would_deny", "denied"} == set(columns(session, "decisions"))
    assert columns(session, "rollup_detail") == arrow_schema("rollup").names
    warehouse.close()


def test_a_ledger_made_later_is_seen_when_refreshed(ledger, request):
    warehouse = Warehouse.open(ledger, threads=1)
    session = warehouse.session("default")
    request.getfixturevalue("lander").land(a_landing(range(2)))
    assert session.refresh() > 0
    assert count(session) == 6
    warehouse.close()


def test_a_damaged_ledger_is_unavailable(ledger, lander):
    for entry in (ledger / "_delta_log").glob("*.json"):
        entry.write_bytes(b"{")
    with pytest.raises(Unavailable, match="cannot be read"):
        Warehouse.open(ledger)


def test_a_session_sees_its_project_alone(lander, warehouse):
    lander.land(a_landing(range(3), project="a"))
    lander.land(a_landing(range(2), project="b", partition=1))
    assert {project: count(warehouse.session(project)) for project in ("a", "b", "c", None)} == {"a": 9, "b": 6, "c": 0, None: 15}
    for view in VIEWS:
        assert count(warehouse.session("c"), view) == 0
        assert count(warehouse.session("a"), view) + count(warehouse.session("b"), view) == count(warehouse.session(None), view)


@pytest.mark.parametrize("name", ["' OR true --", "a' UNION SELECT * FROM decisions --", "", "%", "a\x00", "$project"])
def test_a_projects_name_is_only_a_value(lander, warehouse, name):
    lander.land(a_landing(range(3), project="a"))
    assert count(warehouse.session(name)) == 0


def test_a_connection_that_names_no_project_sees_nothing(lander, warehouse, ledger):
    lander.land(a_landing(range(3), project="a"))
    warehouse.session("a")
    bare = warehouse.cursor()
    bare.execute("SET VARIABLE decision_files = ?", [[str(path) for path in ledger.glob("kind=decision/*/*")]])
    bare.execute("SET VARIABLE evolved = false")
    assert bare.execute("SELECT count(*) FROM decisions").fetchone() == (0,)


def test_a_view_named_elsewhere_than_after_from_is_read_too(lander, warehouse):
    lander.land(a_landing(range(3)))
    (row,) = warehouse.session(None).sql("SELECT count(DISTINCT f.finding_id) AS n FROM (SELECT 1) AS one, findings AS f", {}).to_pylist()
    assert row == {"n": 3}


def test_a_question_needs_the_files_of_its_views_and_no_others():
    assert file_lists_of("SELECT sum(decisions) FROM rollup_minute") == {"rollup_files"}
    assert file_lists_of(query_text("decisions_landed")) == {"decision_files", "tally_files"}
    assert file_lists_of("select * from rollup_between($a, $b)") == {"rollup_detail_files", "decision_landed_files"}
    assert {name for query in query_names() for name in file_lists_of(query_text(query))} == set(FILE_LISTS)


def test_sessions_do_not_change_each_other(lander, warehouse):
    lander.land(a_landing(range(3), project="a"))
    of_a, of_b = warehouse.session("a"), warehouse.session("b")
    assert (count(of_a), count(of_b), count(of_a)) == (9, 0, 9)


def test_a_session_keeps_its_version_until_it_is_refreshed(lander, warehouse):
    lander.land(a_landing(range(1)))
    session = warehouse.session("default")
    version = lander.land(a_landing(range(1, 2)))
    assert count(session) == 3
    assert session.refresh() == version
    assert count(session) == 6


def test_a_database_begun_anew_shows_sessions_the_same(lander, warehouse):
    of_a, of_b = warehouse.session("a"), warehouse.session("b")
    lander.land(a_landing(range(2), project="a"))
    warehouse._files_read = FILES_PER_DATABASE + 1
    assert [session.refresh() for session in (of_a, of_b)] == [1, 1]
    assert (warehouse.generation, count(of_a), count(of_b)) == (1, 6, 0)


def test_a_list_whose_files_are_gone_is_refreshed(lander, warehouse, compactor, ledger):
    lander.land(a_landing(range(1)))
    lander.land(a_landing(range(1, 2)))
    session = warehouse.session("default")
    compactor.compact()
    listed = DeltaLog(ledger).files
    for path in ledger.glob("kind=*/*/*.parquet"):
        if str(path.relative_to(ledger)) not in listed:
            path.unlink()
    assert count(session) == 6


def test_nothing_outside_the_ledger_can_be_read(warehouse, tmp_path):
    other = tmp_path / "secret.csv"
    other.write_text("a\n1\n")
    session = warehouse.session(None)
    for statement in (f"SELECT * FROM read_csv('{other}')", "INSTALL httpfs", "ATTACH '/tmp/other.db'"):
        with pytest.raises(duckdb.PermissionException):
            session.sql(statement, {})
    with pytest.raises(duckdb.InvalidInputException, match="locked"):
        session.sql("SET enable_external_access = true", {})


def test_would_deny_is_a_logged_denial_and_denied_an_enforced_one(lander, warehouse):
    lander.land(a_landing(range(1), partition=0, verdict="deny", mode="log-only", effect="allow"))
    lander.land(a_landing(range(1), partition=1, verdict="deny", mode="enforce", effect="deny"))
    lander.land(a_landing(range(1), partition=2, verdict=None, mode="off", effect="allow"))
    rows = warehouse.session("default").sql(
        "SELECT DISTINCT log_partition AS p, shown_verdict, would_deny, denied, month FROM decisions ORDER BY p", {}
    )
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        (0, "deny", True, False, "2026-09"),
        (1, "deny", False, True, "2026-09"),
        (2, "allow", False, False, "2026-09"),
    ]


def test_each_decision_is_joined_with_its_last_outcome_once(lander, warehouse):
    lander.land(a_landing(range(2)))
    again = a_landing(range(2), partition=1)
    outcomes = a_landing(range(2)).tables["outcome"]
    moved = outcomes.set_column(outcomes.schema.get_field_index("log_partition"), outcomes.schema.field("log_partition"), [[1, 1]])
    lander.land(type(again)(tables={"outcome": moved}, offsets=again.offsets))
    session = warehouse.session("default")
    assert count(session, "outcomes") == 4
    rows = session.sql("SELECT status, count(*) AS n FROM decisions_with_outcomes GROUP BY ALL ORDER BY ALL", {}).to_pylist()
    assert rows == [{"status": "ok", "n": 2}, {"status": None, "n": 4}]


def test_files_with_nothing_received_since_are_left_out(lander, warehouse):
    lander.land(a_landing(range(1), at=1_790_000_000_000_000))
    lander.land(a_landing(range(1, 2), at=1_795_000_000_000_000))
    assert count(warehouse.session("default", received_since=1_794_000_000_000_000)) == 3
    assert count(warehouse.session("default", received_since=1_796_000_000_000_000)) == 0


def test_files_from_before_a_column_was_added_are_read_with_nulls(lander, warehouse, ledger):
    lander.land(a_landing(range(1)))
    (file,) = ledger.glob("kind=decision/*/*.parquet")
    older = pq.read_table(file, partitioning=None).drop_columns(["not_replayable_key"])
    file.unlink()
    pq.write_table(older, file)
    lander.land(a_landing(range(1, 2)))
    session = warehouse.session("default")
    assert session.sql("SELECT not_replayable_key, count(*) AS n FROM decisions GROUP BY ALL", {}).to_pylist() == [
        {"not_replayable_key": None, "n": 6}
    ]


def test_readers_are_told_the_landed_offsets_too(lander, warehouse):
    lander.land(a_landing(range(4)))
    assert warehouse.landed([an_app_id(), an_app_id(1)]) == {an_app_id(): 4}


def test_a_query_of_another_name_is_refused_with_those_there_are(warehouse):
    with pytest.raises(Rejected, match=r"no query `\.\./views/decisions`"):
        warehouse.session("default").query("../views/decisions")


def test_ids_read_and_write_as_text(warehouse):
    (row,) = warehouse.session(None).sql("SELECT id_text(id_blob('01990000-0000-7000-8000-00000000abCD')) AS id", {}).to_pylist()
    assert row == {"id": "01990000-0000-7000-8000-00000000abcd"}


def test_nothing_of_a_closed_warehouse_stays(ledger):
    warehouse = Warehouse.open(ledger, threads=1)
    folder: Path = warehouse._folder
    assert len(list(folder.iterdir())) == len(KINDS)
    warehouse.close()
    assert not folder.exists()
