"""A recorded decision asked again: as the call it was, and with masks that stand for values nobody knows."""

import msgspec
import pytest

from controlzero.pii import redact_json
from controlzero.policy import compile as compile_policies
from controlzero.policy import request_for_enforce
from controlzero.policy.facts import record_facts
from controlzero.policy.recorded import call_of, with_masks
from controlzero.testing import a_decision

KEY = b"k" * 32
BUNDLE = compile_policies(
    {
        "rules": [
            {"id": "outside", "effect": "deny", "action": "mail:send", "conditions": {"args.to": "*@evil.test"}},
            {"id": "gold", "effect": "allow", "action": "mail:send", "conditions": {"customer.tier": "gold", "user_group": "staff"}},
            {"id": "groups", "effect": "warn", "action": "*", "conditions": {"groups": {"in": ["a", "b"]}}},
            {"id": "tagged", "effect": "audit", "action": "*", "conditions": {"tags.team": "ops"}},
            {"id": "model", "effect": "allow", "action": "llm:*", "resource": "model/gpt-5.4"},
        ]
    }
)


def masked(encoded):
    return redact_json(encoded, key=KEY, path="facts")[0]


def recorded(request):
    args, redactions = redact_json(msgspec.json.encode(dict(request.args)), key=KEY, path="args")
    said = BUNDLE.judge(request)
    return a_decision(
        action=request.actions[0],
        resource=said.resource,
        resource_claimed=said.resource_claimed,
        agent_id=request.agent_id,
        user_group=request.user_group,
        args=msgspec.Raw(args),
        tags=msgspec.Raw(msgspec.json.encode(dict(request.tags))),
        facts=msgspec.Raw(record_facts(BUNDLE, request, redactions, masked)),
        redactions=redactions,
    )


def asked_again(decision):
    call = call_of(decision)
    return BUNDLE.judge(
        with_masks(request_for_enforce(call.action, resource=call.resource, context=call.context, args=call.args, tags=call.tags))
    )


@pytest.mark.parametrize(
    ("rule", "call"),
    [
        ("outside", {"action": "mail.send", "args": {"to": ["x@evil.test"]}}),
        ("gold", {"action": "mail.send", "context": {"user_group": "staff", "customer": {"tier": "gold"}}}),
        ("groups", {"action": "shell.run", "context": {"groups": ["a", "b"]}}),
        (None, {"action": "shell.run", "context": {"groups": ["a", "c"]}}),
        ("tagged", {"action": "shell.run", "tags": {"team": "ops"}}),
        ("tagged", {"action": "shell.run", "context": {"tags": {"team": "ops"}}}),
        ("model", {"action": "llm.generate", "args": {"model": "gpt-5.4"}}),
        ("model", {"action": "llm.generate", "resource": "model/gpt-5.4", "args": {"model": "another"}}),
    ],
)
def test_what_the_agent_asked_is_asked_again(rule, call):
    request = request_for_enforce(call.pop("action"), **call)
    decision = recorded(request)
    if not decision.redactions:
        assert asked_again(decision) == BUNDLE.judge(request)
    assert BUNDLE.judge(request).rule_id == rule


def test_a_mask_is_never_taken_for_the_value_it_stands_for():
    decision = recorded(request_for_enforce("mail.send", args={"to": "ann@evil.test"}))
    assert "evil.test" not in str(call_of(decision))
    said = asked_again(decision)
    assert (said.verdict, said.not_replayable_key) == ("not_replayable", "args.to")


@pytest.mark.parametrize(
    "written",
    [
        {"args": {"to": {"deep": ["[email:kdfbcaemph]"]}}},
        {"args": {"[email:kdfbcaemph]": "x"}},
        {"context": {"customer": {"tier": "[email:kdfbcaemph]"}, "user_group": "staff"}},
        {"context": {"[email:kdfbcaemph]": 1, "user_group": "staff"}},
        {"context": {"groups": ["[email:kdfbcaemph]"]}},
        {"tags": {"team": "[email:kdfbcaemph]"}},
    ],
)
def test_a_mask_anywhere_in_what_a_rule_reads_leaves_no_verdict(written):
    assert BUNDLE.judge(with_masks(request_for_enforce("mail.send", **written))).verdict == "not_replayable"


def test_a_mask_that_no_rule_reads_changes_no_verdict():
    written = request_for_enforce("llm.generate", resource="model/gpt-5.4", args={"message": "to [email:kdfbcaemph]"})
    assert BUNDLE.judge(with_masks(written)).rule_id == "model"


def test_a_call_without_masks_is_the_same_call():
    request = request_for_enforce("mail.send", args={"to": "a"}, context={"user_group": "staff", "tags": {"a": 1}})
    assert with_masks(request) is request
