"""Judging again over masked facts: the same bundle says the same, and no bundle ever says what the whole facts would not."""

import msgspec
import pytest

from controlzero.pii import redact_json
from controlzero.policy import parse, request_for_enforce
from controlzero.policy.evaluate import compile_policies
from controlzero.policy.facts import record_facts, request_of
from controlzero.records import Decision
from tests.property import naive_policy as naive
from tests.property.masked_records import Masker, recorded


def answer(judgement):
    return judgement.verdict, judgement.rule, judgement.reason_code


@pytest.mark.parametrize("part", range(4))
def test_the_same_bundle_replays_exactly_and_another_never_guesses(part):
    rng = naive.seeded(f"facts/{part}")
    said = unknown = 0
    for _ in range(120):
        bundle, other = (compile_policies(parse({"rules": naive.a_policy(rng)})) for _ in range(2))
        for _ in range(12):
            call = naive.a_call(rng)
            masker = Masker(rng)
            decision = recorded(bundle, call, masker)
            whole = request_for_enforce(**call)
            again = request_of(decision, recorded_under=bundle)
            assert answer(bundle.judge(again)) == answer(bundle.judge(whole)), (call, decision)
            for recorded_under in (bundle, None):
                elsewhere = other.judge(request_of(decision, recorded_under=recorded_under))
                if elsewhere.verdict == "not_replayable":
                    assert elsewhere.not_replayable_key
                    unknown += 1
                else:
                    assert answer(elsewhere) == answer(other.judge(whole)), (call, decision)
                    said += 1
    assert said > 1_000
    assert unknown > 100


def test_real_redaction_replays_exactly_and_never_guesses():
    key = b"k" * 32
    rng = naive.seeded("real redaction")
    values = ("ann@example.com", "write to bob@evil.test now", "plain", "4111111111111111", "10.0.0.1", "x@evil.test")
    patterns = ("*@evil.test", "ann*", "write*", "*", "plain", "*now", "4111*", "x@evil.test", "10.*")
    redact = lambda encoded: redact_json(encoded, key=key, path="facts")[0]  # noqa: E731
    masked = unknown = 0

    def a_bundle():
        rules = [
            {
                "effect": rng.choice(("deny", "allow")),
                "action": "send",
                "conditions": {rng.choice(("args.to", "note")): rng.choice(patterns)},
            }
            if rng.random() < 0.7
            else {"effect": rng.choice(("deny", "allow")), "action": "*", "resource": f"to/{rng.choice(patterns)}"}
            for _ in range(3)
        ]
        return compile_policies(parse({"rules": rules}))

    for _ in range(400):
        bundle, other = a_bundle(), a_bundle()
        to = rng.choice(values) if rng.random() < 0.6 else [rng.choice(values), rng.choice(values)]
        request = request_for_enforce("send", args={"to": to}, context={"note": rng.choice(values)})
        args, receipts = redact_json(msgspec.json.encode(dict(request.args)), key=key, path="args")
        facts = record_facts(bundle, request, receipts, redact)
        assert redact(facts) == facts
        decision = Decision(
            decision_id="0" * 36, occurred_at=0, mode="enforce", effect="allow", action="send",
            args=msgspec.Raw(args), facts=msgspec.Raw(facts), redactions=receipts, bundle_digest="b",
        )  # fmt: skip
        again = request_of(decision, recorded_under=bundle)
        masked += bool(receipts)
        assert answer(bundle.judge(again)) == answer(bundle.judge(request))
        elsewhere = other.judge(again)
        unknown += elsewhere.verdict == "not_replayable"
        assert elsewhere.verdict == "not_replayable" or answer(elsewhere) == answer(other.judge(request))
    assert min(masked, unknown) > 40
