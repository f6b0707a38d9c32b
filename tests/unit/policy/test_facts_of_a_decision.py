"""What is noted of a decision's facts, and what of it can be judged again."""

import msgspec
import pytest

from controlzero.pii import redact_json
from controlzero.policy import Identity, request_for_enforce, request_for_guard
from controlzero.policy.evaluate import compile_policies
from controlzero.policy.facts import record_facts, request_of
from controlzero.records import RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from controlzero.testing import a_decision

KEY = b"k" * 32
BUNDLE = compile_policies(
    {
        "rules": [
            {"effect": "deny", "action": "mail:send", "conditions": {"args.to": "*@evil.test"}},
            {"effect": "deny", "action": "mail:send", "resource": "to/bob*"},
            {"effect": "allow", "action": "mail:send", "conditions": {"tier": "gold"}},
        ]
    }
)


def masked(encoded):
    return redact_json(encoded, key=KEY, path="facts")[0]


def recorded(request, *, bundle=BUNDLE, **changes) -> Decision:
    args, redactions = redact_json(msgspec.json.encode(dict(request.args)), key=KEY, path="args")
    said = {
        "action": request.actions[0],
        "resource": request.resource,
        "agent_id": request.agent_id,
        "args": msgspec.Raw(args),
        "facts": msgspec.Raw(record_facts(bundle, request, redactions, masked)),
        "redactions": redactions,
        "bundle_digest": "b",
    }
    return a_decision(**(said | changes))


def facts_of(decision):
    return msgspec.json.decode(decision.facts)


def test_a_call_without_masks_and_context_notes_nothing():
    request = request_for_guard("mail", method="send", args={"to": "ann"}, identity=Identity(agent_id="a"))
    assert record_facts(BUNDLE, request, (), masked) == b"null"
    assert BUNDLE.judge(request_of(recorded(request), recorded_under=None)) == BUNDLE.judge(request)


def test_context_that_the_bundle_reads_is_kept_and_that_there_is_more_is_said():
    request = request_for_enforce("mail.send", args={"to": "ann"}, context={"agent_id": "a", "tier": "gold", "other": [1]})
    decision = recorded(request)
    assert facts_of(decision) == {"tier": "gold", "@more": True}
    assert BUNDLE.judge(request_of(decision, recorded_under=BUNDLE)).rule == 2


def test_a_key_that_nobody_noted_is_unknown_not_absent():
    other = compile_policies({"rules": [{"effect": "deny", "action": "*", "conditions": {"other": "x"}}]})
    with_more = recorded(request_for_enforce("mail.send", context={"tier": "gold", "other": "y"}))
    judgement = other.judge(request_of(with_more, recorded_under=BUNDLE))
    assert (judgement.verdict, judgement.not_replayable_key) == ("not_replayable", "other")
    assert "`other` is masked" in judgement.reason
    without = recorded(request_for_enforce("mail.send", context={"tier": "gold"}))
    assert other.judge(request_of(without, recorded_under=BUNDLE)).reason_code == "default_deny"


def test_no_fact_holds_what_was_masked_nor_the_pattern_it_matched():
    bundle = compile_policies(
        {"rules": [{"effect": "deny", "action": "*", "conditions": {"args.to": "ann@example.com", "contact": "ann@*"}}]}
    )
    request = request_for_enforce("mail.send", args={"to": "ann@example.com"}, context={"contact": "ann@example.com"})
    decision = recorded(request, bundle=bundle)
    assert b"example.com" not in bytes(decision.facts)
    assert bundle.judge(request_of(decision, recorded_under=bundle)).rule == 0


def test_an_argument_beside_a_masked_one_keeps_its_value():
    request = request_for_enforce("mail.send", args={"to": "ann@example.com", "cc": "nobody"})
    other = compile_policies({"rules": [{"effect": "warn", "action": "*", "conditions": {"args.cc": "no*"}}]})
    assert other.judge(request_of(recorded(request), recorded_under=BUNDLE)).verdict == "warn"


def test_a_pattern_that_cannot_meet_a_masked_argument_is_answered():
    request = request_for_enforce("mail.send", resource="tool/x", args={"to": "write to ann@example.com today"})
    other = compile_policies(
        {
            "rules": [
                {"effect": "deny", "action": "*", "resource": "model/*"},
                {"effect": "deny", "action": "*", "resource": "to/read*"},
                {"effect": "warn", "action": "*", "resource": "to/write*today"},
            ]
        }
    )
    assert other.judge(request_of(recorded(request), recorded_under=BUNDLE)).verdict == "warn"


def test_a_resource_that_the_ledger_cut_is_judged_by_what_was_noted():
    bundle = compile_policies({"rules": [{"effect": "warn", "action": "*", "resource": "*end"}, {"effect": "allow", "action": "*"}]})
    request = request_for_enforce("tool.call", resource="tool/" + "x" * 300 + "end")
    decision = recorded(request, bundle=bundle)
    landed = msgspec.structs.replace(decision, resource=decision.resource[:RESOURCE_KEPT_CHARS_MAX])
    assert bundle.judge(request_of(landed, recorded_under=bundle, is_landed=True)).verdict == "warn"
    unnoted = bundle.judge(request_of(landed, recorded_under=None, is_landed=True))
    assert (unnoted.verdict, unnoted.not_replayable_key) == ("not_replayable", "resource")
    other = compile_policies({"rules": [{"effect": "audit", "action": "*", "resource": "tool/x*"}]})
    assert other.judge(request_of(landed, recorded_under=None, is_landed=True)).verdict == "audit"


def test_a_cut_inside_a_mask_is_no_text():
    landed = a_decision(
        resource=("x" * 185 + "[email:abcdefghij]")[:RESOURCE_KEPT_CHARS_MAX], redactions=(Redaction(path="resource", type="email"),)
    )
    bundle = compile_policies({"rules": [{"effect": "warn", "action": "*", "resource": "*[ema*"}]})
    assert bundle.judge(request_of(landed, recorded_under=None, is_landed=True)).verdict == "not_replayable"


def test_an_argument_called_by_a_secret_that_met_a_pattern_is_unknown_and_one_that_met_none_is_not():
    bundle = compile_policies(
        {
            "rules": [
                {"effect": "audit", "action": "mail:send", "resource": "*/bob"},
                {"effect": "deny", "action": "mail:send", "resource": "*"},
            ]
        }
    )
    met, unmet = (request_for_enforce("mail.send", args={"eve@example.com": name, "to": "x@y.org"}) for name in ("bob", "carol"))
    assert bundle.judge(met).verdict == "audit"
    assert bundle.judge(request_of(recorded(met, bundle=bundle), recorded_under=bundle)).verdict == "not_replayable"
    assert bundle.judge(request_of(recorded(unmet, bundle=bundle), recorded_under=bundle)).verdict == bundle.judge(unmet).verdict == "deny"
    assert "eve" not in bytes(recorded(met, bundle=bundle).facts).decode()


def test_arguments_replaced_as_a_whole_are_unknown_unless_noted():
    request = request_for_enforce("mail.send", args={"to": "x@evil.test"}, context={"tier": "gold"})
    redactions = (Redaction(path="args", type="unreadable"),)
    facts = msgspec.Raw(record_facts(BUNDLE, request, redactions, masked))
    decision = recorded(request, args=msgspec.Raw(b'{"cut":"300000 bytes"}'), redactions=redactions, facts=facts)
    assert BUNDLE.judge(request_of(decision, recorded_under=BUNDLE)).rule == 0
    assert BUNDLE.judge(request_of(decision, recorded_under=None)).not_replayable_key == "args.to"


@pytest.mark.parametrize(
    "facts", [b"[1]", b'"x"', b'{"tier": {"p": "x"}}', b'{"tier": [[1]]}', b'{"@mcp": 5, "resource": 7}', b'{"args.to": {"p": [99, -99]}}']
)
def test_facts_that_an_agent_made_up_break_nothing(facts):
    decision = a_decision(action="mail:send", args=msgspec.Raw(b'{"to": "ann"}'), facts=msgspec.Raw(facts))
    assert BUNDLE.judge(request_of(decision, recorded_under=BUNDLE)).verdict in ("allow", "deny", "not_replayable")


def test_a_call_behind_mcp_under_another_resource_is_still_behind_mcp():
    bundle = compile_policies(
        {"rules": [{"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://shell/*"}, {"effect": "allow", "action": "*"}]}
    )
    request = request_for_guard("shell", method="run", mcp_url="mcp://shell/run", resource="files/x", args={"c": "ls"})
    decision = recorded(request, bundle=bundle)
    assert facts_of(decision) == {"@mcp": "mcp://shell/run"}
    assert bundle.judge(request_of(decision, recorded_under=None)).rule == 0


def test_a_list_too_long_to_note_is_unknown():
    request = request_for_enforce("mail.send", args={"to": [f"p{number}@example.com" for number in range(300)]})
    judgement = BUNDLE.judge(request_of(recorded(request), recorded_under=BUNDLE))
    assert (judgement.verdict, judgement.not_replayable_key) == ("not_replayable", "args.to")
