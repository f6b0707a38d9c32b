"""Tables from records: what comes out is what went in, and what fits no column is refused."""

import uuid

import pyarrow as pa
import pytest
from msgspec import Raw

from controlzero.errors import Rejected
from controlzero.records import Redaction
from controlzero.testing import STARTED_AT, a_decision
from warehouse.columns import columns_of, decisions_table, table_of
from warehouse.kinds import KINDS, Judged
from warehouse.schema import arrow_schema, table_schema

PLACED = {
    "project_id": pa.scalar("default"), "producer_id": pa.scalar("p"), "seq": [0], "received_at": [STARTED_AT],
    "log_partition": pa.scalar(0), "log_offset": pa.scalar(0), "backfill": [False],
}  # fmt: skip


def a_row(**changes):
    return decisions_table([a_decision(**changes)], placed=PLACED, judged={}).to_pylist()[0]


def test_ids_are_sixteen_bytes():
    wanted = "01990000-0000-7000-8000-00000000abcd"
    row = a_row(decision_id=wanted, args_digest="0f" * 16)
    assert row["decision_id"] == uuid.UUID(wanted).bytes
    assert row["args_digest"] == bytes([15] * 16)
    assert a_row()["args_digest"] is None


def test_json_is_kept_as_it_came_and_absent_json_is_null():
    row = a_row(args=Raw(b'{"b": 1,  "a":[]}'))
    assert (row["args"], row["tags"], row["candidates"]) == ('{"b": 1,  "a":[]}', None, None)


def test_lists_are_lists():
    row = a_row(redactions=(Redaction(path="args.to", type="email", count=2, fingerprint="0f" * 16), Redaction(path="b", type="iban")))
    assert row["redactions"] == [
        {"path": "args.to", "type": "email", "count": 2, "fingerprint": bytes([15] * 16)},
        {"path": "b", "type": "iban", "count": 1, "fingerprint": None},
    ]
    assert (row["drift_kinds"], a_row()["redactions"]) == ([], [])


def test_times_are_utc_microseconds():
    assert a_row(occurred_at=1)["occurred_at"].isoformat() == "1970-01-01T00:00:00.000001+00:00"


def test_what_workers_did_not_say_has_its_default():
    row = a_row()
    assert {name: row[name] for name in Judged.__struct_fields__ if name not in ("drift_kinds", "finding_types")} == dict.fromkeys(
        (name for name in Judged.__struct_fields__ if name not in ("drift_kinds", "finding_types")), None
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"decision_id": "not-an-id-but-36-characters-in-length"[:36]},
        {"decision_id": "01990000-0000-7000-8000-00000000ab "},
        {"decision_id": "01990000 0000 7000 8000 00000000abcd"},
        {"args": Raw(b'{"a": "\xff"}')},
        {"occurred_at": "yesterday"},
    ],
)
def test_a_value_that_fits_no_column_is_refused_by_the_columns_name(wrong):
    (name,) = wrong
    with pytest.raises(Rejected, match=f"column `{name}`"):
        a_row(**wrong)


def test_a_column_the_kind_has_not_is_an_error():
    with pytest.raises(TypeError, match="no column colour"):
        table_of("tally", {"colour": ["red"]})


def test_a_place_left_out_is_an_error():
    with pytest.raises(TypeError, match="no column `seq`"):
        decisions_table([a_decision()], placed={name: column for name, column in PLACED.items() if name != "seq"}, judged={})


def test_no_rows_make_an_empty_table_of_the_kind():
    for kind, types in KINDS.items():
        columns = {name: column for type_ in types for name, column in columns_of(type_, []).items()}
        assert table_of(kind, columns).schema == arrow_schema(kind)


def test_every_column_of_every_kind_is_in_the_table():
    names = {name for kind in KINDS for name in arrow_schema(kind).names}
    assert set(table_schema().names) == names | {"kind", "received_month"}
    assert all(field.nullable for field in table_schema())
