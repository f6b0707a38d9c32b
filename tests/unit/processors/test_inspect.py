"""What is found in decisions, where, and what of it lands."""

import json
import uuid
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from controlzero.pii import fingerprint, redact_text
from controlzero.records import ABSENT, Decision, Redaction, encode_record
from processors.flow import Inspected, Row
from processors.steps.inspect import JSON_FIELDS, TEXT_FIELDS, inspect
from processors.testing import a_place
from warehouse.columns import columns_of

KEYS = {"shop": b"s" * 32, "bank": b"b" * 32}
BOB = "bob@example.com"


def a_decision(**fields: object) -> Decision:
    fields = {name: Raw(json.dumps(value).encode()) if name in ("args", "tags", "facts") else value for name, value in fields.items()}
    defaults = {"decision_id": str(uuid.UUID(int=7)), "occurred_at": 1, "action": "mail:send", "mode": "log-only", "effect": "allow"}
    return Decision(**(defaults | fields))  # type: ignore[arg-type]


def inspected(*decisions: Decision, project_id: str = "shop") -> Inspected:
    place = a_place(project_id=project_id)
    return looked_into([Row(decision, seq, place) for seq, decision in enumerate(decisions)])


def looked_into(rows: Sequence[Row]) -> Inspected:
    return inspect(rows, columns_of(Decision, [row.decision for row in rows]), KEYS.__getitem__)


def landing(found: Inspected) -> list[Decision]:
    columns = {name: list(map(as_json, column)) if name in JSON_FIELDS else column for name, column in found.decisions.items()}
    return [Decision(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def as_json(value: bytes | None) -> Raw:
    return ABSENT if value is None else Raw(value)


def mask(value: str, project_id: str = "shop") -> str:
    return redact_text(value, key=KEYS[project_id], path="")[0]


def seen(found: Inspected) -> list[tuple[str, str, str | None, int]]:
    return [(finding.type, finding.detail, finding.path, finding.count) for finding in found.findings]


def test_a_decision_with_nothing_in_it_lands_as_it_came() -> None:
    decision = a_decision(args={"q": "shoes", "limit": 10}, text="I look for shoes.", agent_id="shop-bot")
    found = inspected(decision)
    assert landing(found) == [decision]
    assert (list(found.masked), found.finding_types, found.findings) == ([], [()], [])


def test_what_came_unmasked_is_masked_found_and_receipted() -> None:
    found = inspected(a_decision(args={"to": [BOB]}, text=f"mail {BOB}, key AKIALALEMEL33243OLIB", tags={"owner": BOB}))
    (decision,) = landing(found)
    assert json.loads(bytes(decision.args)) == {"to": [mask(BOB)]}
    assert json.loads(bytes(decision.tags)) == {"owner": mask(BOB)}
    assert decision.text == f"mail {mask(BOB)}, key {mask('AKIALALEMEL33243OLIB')}"
    assert found.finding_types == [("aws_key", "email")]
    assert seen(found) == [
        ("pii", "email", "args.to[0]", 1),
        ("pii", "email", "tags.owner", 1),
        ("pii", "email", "text", 1),
        ("secret", "aws_key", "text", 1),
    ]
    assert [r.path for r in decision.redactions] == ["args.to[0]", "tags.owner", "text", "text"]
    assert {finding.severity for finding in found.findings} == {"warning", "critical"}
    assert found.findings[0].fingerprint == fingerprint(KEYS["shop"], "email", BOB)


def test_what_the_sdk_masked_is_found_by_its_receipt() -> None:
    receipt = Redaction(path="args.to", type="email", count=2, fingerprint="0" * 32)
    decision = a_decision(args={"to": mask(BOB)}, redactions=(receipt,))
    found = inspected(decision)
    assert landing(found)[0].args == decision.args
    assert landing(found)[0].redactions == (receipt,)
    (finding,) = found.findings
    assert (finding.type, finding.detail, finding.path, finding.count, finding.fingerprint) == ("pii", "email", "args.to", 2, "0" * 32)
    assert finding.severity == "info"


def test_a_secret_of_the_vault_that_turned_up_in_a_call_is_a_secret_found() -> None:
    (finding,) = inspected(a_decision(redactions=(Redaction("args.token", "vault_secret"),))).findings
    assert (finding.type, finding.detail, finding.severity) == ("secret", "vault_secret", "critical")
    assert finding.message == "vault secret in args.token was masked by the agent's SDK"


def test_what_the_sdk_masked_and_what_it_missed_make_one_finding_for_a_path() -> None:
    receipt = Redaction(path="text", type="email", fingerprint=fingerprint(KEYS["shop"], "email", BOB))
    found = inspected(a_decision(text=f"{mask(BOB)} {BOB}", redactions=(receipt,)))
    assert landing(found)[0].text == f"{mask(BOB)} {mask(BOB)}"
    assert [(f.count, f.fingerprint, f.severity) for f in found.findings] == [(2, receipt.fingerprint, "warning")]


def test_what_could_not_be_read_is_receipted_and_no_finding() -> None:
    found = inspected(a_decision(redactions=(Redaction(path="args", type="unreadable"),)))
    assert (found.findings, found.finding_types) == ([], [()])
    assert len(landing(found)[0].redactions) == 1


def test_a_masked_user_keeps_one_history() -> None:
    found = inspected(a_decision(user_id=BOB), a_decision(user_id="Bob@Example.com"), a_decision(user_id="u-17"))
    assert [decision.user_id for decision in landing(found)] == [mask(BOB), mask(BOB), "u-17"]
    assert found.finding_types == [("email",), ("email",), ()]


def test_no_field_an_agent_writes_lands_unmasked() -> None:
    skipped = {"decision_id", "mode", "effect", "reason_code", "verdict", "args_digest", "bundle_digest", "bundle_state", "redactions"}
    fields = {f.name for f in msgspec.structs.fields(Decision)} - skipped
    texts = {name for name in fields if name in TEXT_FIELDS}
    decision = a_decision(args={"a": BOB}, tags={"a": BOB}, facts={"a": BOB}, **dict.fromkeys(texts, f"x {BOB}"))
    line = encode_record(landing(inspected(decision))[0]).decode()
    assert BOB not in line
    assert line.count(mask(BOB)) == len(texts) + 3
    numbers = {"occurred_at", "resource_claimed", "evaluated_rules", "evaluation_time_ns"}
    assert fields - texts - numbers == {"args", "tags", "facts"}  # a new field of text belongs to TEXT_FIELDS


def test_projects_are_masked_under_their_own_keys() -> None:
    decision = a_decision(args={"to": BOB})
    shop, bank = inspected(decision), inspected(decision, project_id="bank")
    assert landing(shop) != landing(bank)
    assert shop.findings[0].fingerprint != bank.findings[0].fingerprint


def test_the_same_in_a_batch_is_masked_the_same_for_each_project() -> None:
    rows = [Row(a_decision(args={"to": BOB}), seq, a_place(project_id=project)) for seq, project in enumerate(("shop", "bank", "shop"))]
    found = looked_into(rows)
    assert [json.loads(bytes(decision.args))["to"] for decision in landing(found)] == [mask(BOB), mask(BOB, "bank"), mask(BOB)]


def test_inspecting_again_changes_no_decision() -> None:
    found = inspected(a_decision(args={"to": BOB}, text="call +1 415 555 0132"))
    again = inspected(*landing(found))
    assert again.decisions == found.decisions
    assert again.finding_types == found.finding_types


def test_an_agent_cannot_make_findings_without_end() -> None:
    receipts = tuple(Redaction(path=f"args.x[{number}]", type="email") for number in range(5_000))
    found = inspected(a_decision(redactions=receipts))
    assert seen(found) == [("pii", "email", "args", 5_000)]


def test_findings_of_a_replayed_message_have_the_same_ids() -> None:
    decision = a_decision(args={"to": BOB, "cc": "eve@example.com"})
    first, second = inspected(decision), inspected(decision)
    assert [f.finding_id for f in first.findings] == [f.finding_id for f in second.findings]
    assert len({f.finding_id for f in first.findings}) == 2
