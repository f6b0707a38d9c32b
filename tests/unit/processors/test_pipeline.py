"""What all the steps together make of a message."""

import json

from msgspec import Raw

from controlzero.pii import redact_text
from controlzero.policy import CompiledPolicy, parse
from controlzero.records import Decision
from processors.governance import Governance, Governed, InForce
from processors.pipeline import Environment, PipelineState, process
from processors.testing import RECEIVED_AT, LandedInMemory, a_message, a_place

BOB = "bob@example.com"
KEY = b"k" * 32
DENIES_ALL = InForce("a" * 64, 0, CompiledPolicy([parse({"name": "p", "rules": [{"effect": "deny", "action": "*"}]})]))


def test_findings_name_an_agent_as_its_decision_does() -> None:
    decision = Decision(
        decision_id="00000000-0000-7000-8000-000000000001", occurred_at=RECEIVED_AT + 10**12, action=f"mail:{BOB}", agent_id=BOB,
        mode="off", effect="allow", args=Raw(json.dumps({"to": BOB}).encode()),
    )  # fmt: skip
    environment = Environment(
        log_id="log", topic_id="topic", now=RECEIVED_AT, governance=Governance(projects={"shop": Governed(mode="enforce", active=DENIES_ALL)}),
        key_of=lambda _: KEY, landed=LandedInMemory(),
    )  # fmt: skip
    landing, _ = process([a_message([decision], a_place())], PipelineState(), environment)
    (landed,) = landing.tables["decision"].to_pylist()
    found = landing.tables["finding"].to_pylist()
    assert {one["type"] for one in found} == {"clock_skew", "drift", "enforcement_gap", "pii"}  # noticed, judged, inspected
    assert {(one["agent_id"], one["action"]) for one in found} == {(landed["agent_id"], landed["action"])}
    assert landed["agent_id"] == redact_text(BOB, key=KEY, path="agent_id")[0]
    assert BOB not in str(landing.tables)
