"""Every question is one file that begins with its question, and can be asked of an empty ledger."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import warehouse
from controlzero.records import Outcome
from controlzero.testing import STARTED_AT
from warehouse.columns import columns_of, rows_table, table_of
from warehouse.kinds import Finding
from warehouse.lander import Landing
from warehouse.snapshot import Warehouse
from warehouse.testing import a_landing, an_app_id, decision_id

FOLDER = Path(warehouse.__file__).parent
FILES = sorted(FOLDER.glob("*/*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_begins_with_its_one_question(path):
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"-- [A-Z].*\?.*", first), "the first line is the question, a comment"
    assert any(line and not line.startswith("--") for line in rest)


def test_a_decision_is_carried_out_once_however_often_and_differently_it_is_told(lander, ledger):
    lander.land(a_landing(range(2)))  # six decisions; the first of each three has an outcome: carried out
    told = [(0, 0, False), (0, 1, False), (0, 1, True), (0, 1, True), (1, 1, False), (1, 1, False)]
    outcomes = [
        Outcome(decision_id=decision_id(0, offset, line), occurred_at=STARTED_AT + 5, carried_out=carried_out, status="ok")
        for offset, line, carried_out in told
    ]
    placed = {
        "project_id": ["default"] * len(told), "producer_id": ["late"] * len(told), "seq": list(range(len(told))),
        "received_at": [STARTED_AT + 9] * len(told), "log_partition": [1] * len(told), "log_offset": [0] * len(told), "backfill": [False] * len(told),
    }  # fmt: skip
    table = table_of("outcome", {**placed, **columns_of(Outcome, outcomes)})
    lander.land(Landing(tables={"outcome": table}, offsets={an_app_id(1): (0, 1)}))
    rows = asked(ledger, "carried_out")
    assert {row["carried_out"]: row["decisions"] for row in rows} == {True: 3, False: 1, None: 2}


def test_a_type_found_in_two_severities_is_one_row_the_gravest_first(lander, ledger):
    severities = ("info", "critical", "info", "warning")
    found = [
        Finding(
            finding_id=decision_id(0, 0, 9 + i), project_id="default", received_at=STARTED_AT, occurred_at=STARTED_AT, type="secret", detail="jwt",
            severity=severity, agent_id="a", log_partition=0, log_offset=0,
        )
        for i, severity in enumerate(severities)
    ]  # fmt: skip
    lander.land(Landing(tables={"finding": rows_table("finding", found)}, offsets={an_app_id(): (0, 1)}))
    (row,) = asked(ledger, "findings_by_type")
    assert (row["severities"], row["findings"], row["agents"]) == (["critical", "warning", "info"], 4, 1)


def asked(ledger, question):
    at = datetime.fromtimestamp(STARTED_AT / 1e6, UTC)
    warehouse_of_this = Warehouse.open(ledger, threads=1)
    rows = (
        warehouse_of_this.session("default").query(question, from_at=at - timedelta(hours=1), until_at=at + timedelta(hours=1)).to_pylist()
    )
    warehouse_of_this.close()
    return rows
