"""What records say is what Parquet holds, through every encoding."""

import io
import uuid

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json

from controlzero.records import Redaction
from controlzero.testing import a_decision
from warehouse.columns import decisions_table
from warehouse.files import encode

text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
macs = st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex)
decisions = st.builds(
    a_decision,
    decision_id=st.uuids().map(str),
    occurred_at=st.integers(0, 253_402_300_799_999_999),
    agent_id=text,
    reason=text,
    session_id=text,
    args=st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3).map(lambda value: Raw(json.encode(value))),
    args_digest=macs,
    evaluated_rules=st.integers(0, 2**63 - 1),
    redactions=st.lists(st.builds(Redaction, path=st.text(max_size=5), type=st.just("email"), fingerprint=macs), max_size=3).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(decisions, min_size=1, max_size=8))
def test_records_come_back_from_parquet_as_they_were(many):
    placed = {
        "project_id": ["p"] * len(many), "producer_id": ["r"] * len(many), "seq": list(range(len(many))),
        "received_at": [one.occurred_at for one in many], "log_partition": [0] * len(many), "log_offset": [0] * len(many),
        "backfill": [False] * len(many),
    }  # fmt: skip
    content, _ = encode(decisions_table(many, placed=placed, judged={}), "decision")
    for one, row in zip(many, pq.read_table(io.BytesIO(content)).to_pylist(), strict=True):
        assert str(uuid.UUID(bytes=row["decision_id"])) == one.decision_id
        assert (row["agent_id"], row["reason"], row["session_id"]) == (one.agent_id, one.reason, one.session_id)
        assert json.decode(row["args"]) == json.decode(one.args)
        assert (row["args_digest"] and row["args_digest"].hex()) == one.args_digest
        assert row["evaluated_rules"] == one.evaluated_rules
        assert [(r["path"], r["fingerprint"] and r["fingerprint"].hex()) for r in row["redactions"]] == [
            (r.path, r.fingerprint) for r in one.redactions
        ]
