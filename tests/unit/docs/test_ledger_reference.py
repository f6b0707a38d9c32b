"""The examples of docs/reference/ledger.md open a ledger and answer, with the readers that the page names."""

import re
import time
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from warehouse.lander import Lander
from warehouse.testing import a_landing, ids

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ledger.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
LEDGER = Path(".controlzero") / "warehouse" / "ledger"
MESSAGES = 4


@pytest.fixture
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lander = Lander(LEDGER.absolute(), clock=lambda: time.time_ns() // 1000, new_id=ids())
    lander.land(a_landing(range(MESSAGES)))


def answer_of(example: str) -> duckdb.DuckDBPyRelation:
    names: dict[str, object] = {}
    exec(example, names)
    return names["answer"]  # type: ignore[return-value]


@pytest.mark.usefixtures("in_the_folder")
def test_any_delta_reader_counts_what_was_landed() -> None:
    assert answer_of(EXAMPLES[0]).fetchall() == [("support-bot", "allow", "enforce", 3 * MESSAGES)]


@pytest.mark.usefixtures("in_the_folder")
def test_the_products_own_reader_joins_decisions_with_outcomes() -> None:
    rows = answer_of(EXAMPLES[1]).to_pylist()
    assert len(rows) == 3 * MESSAGES
    assert [row["status"] for row in rows].count("ok") == MESSAGES
    assert {len(row["id"]) for row in rows} == {36}


@pytest.mark.usefixtures("in_the_folder")
def test_the_table_asks_of_readers_what_the_page_says() -> None:
    protocol = DeltaTable(str(LEDGER)).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert "reader version 1 and writer version 2" in PAGE
    assert not protocol.reader_features
    assert not protocol.writer_features


def test_every_example_is_one_of_these() -> None:
    assert len(EXAMPLES) == 2
