import csv
import io
import json
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboards.export import csv_bytes, parquet_bytes, uuid_text

ID = UUID("0192f0aa-0000-7000-8000-00000000000a")
DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\n@x",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "\N{FULLWIDTH PLUS SIGN}1",
    "\N{FULLWIDTH HYPHEN-MINUS}1",
    "\N{FULLWIDTH COMMERCIAL AT}x",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x")',
]


def rows_of(encoded: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(encoded.decode(), newline="")))


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_of_a_csv_begins_as_a_formula(text: str) -> None:
    (row,) = rows_of(csv_bytes(pa.table({"action": [text]})))
    assert row["action"] == f"'{text}"


@pytest.mark.parametrize("text", ["llm:generate", "a=b", "x-1", "", "1-2", "naïve", "'quoted", "model/gpt-5.4, ok", 'say "hi"\nthen go'])
def test_ordinary_text_is_exported_as_it_is(text: str) -> None:
    (row,) = rows_of(csv_bytes(pa.table({"action": [text], "n": [1]})))
    assert row["action"] == text


def test_negative_numbers_stay_numbers() -> None:
    assert rows_of(csv_bytes(pa.table({"n": [-5]})))[0]["n"] == "-5"


def test_ids_times_and_nested_values_are_readable() -> None:
    table = pa.table(
        {
            "id": pa.array([ID.bytes], pa.binary(16)),
            "at": pa.array([datetime(2026, 11, 20, 1, 2, 3, 4, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "found": [["email", "iban"]],
        }
    )
    (row,) = rows_of(csv_bytes(table))
    assert row["id"] == str(ID)
    assert row["at"].startswith("2026-11-20T01:02:03.000004")
    assert json.loads(row["found"]) == ["email", "iban"]


def test_an_empty_table_is_a_file_with_its_headings() -> None:
    table = pa.table({"id": pa.array([], pa.binary(16)), "at": pa.array([], pa.timestamp("us", "UTC")), "a": pa.array([], pa.string())})
    assert csv_bytes(table) == b'"id","at","a"\n'
    assert pq.read_table(io.BytesIO(parquet_bytes(table))).num_rows == 0


def test_parquet_keeps_types_and_text() -> None:
    read = pq.read_table(io.BytesIO(parquet_bytes(pa.table({"id": pa.array([ID.bytes], pa.binary(16)), "a": ["=1+1"], "n": [3]}))))
    assert read.to_pylist() == [{"id": str(ID), "a": "=1+1", "n": 3}]


def test_a_missing_id_is_none() -> None:
    assert uuid_text(None) is None
