import pytest

from controlzero.errors import Rejected
from dashboards.trial import Trial, answer, request_of
from dashboards.trial import judge as judge_request

POLICIES = (
    {
        "name": "trading-agent-policy",
        "rules": [
            {"effect": "allow", "action": "trade:execute", "resource": "asset/AAPL"},
            {"id": "no-crypto", "effect": "deny", "action": "trade:execute", "resource": "asset/BTC", "reason": "Crypto is outside."},
            {"effect": "warn", "action": "ticket:refund", "conditions": {"args.amount": {"gt": 500}}},
            {"effect": "allow", "action": "ticket:*", "conditions": {"agent_id": "support-*", "user_group": "staff"}},
        ],
    },
)


def judge(policies, trial):
    return judge_request(policies, request_of(trial))


def test_a_trial_is_judged_by_the_evaluator_with_every_fact_it_names() -> None:
    assert judge(POLICIES, Trial(action="trade.execute", resource="asset/AAPL")).verdict == "allow"
    assert judge(POLICIES, Trial(action="ticket:refund", args='{"amount": 501}')).verdict == "warn"
    assert judge(POLICIES, Trial(action="ticket:refund", args='{"amount": 500}')).reason_code == "default_deny"
    staff = Trial(action="ticket:refund", agent_id="support-bot", context='{"user_group": "staff"}')
    assert judge(POLICIES, staff).verdict == "allow"


def test_the_answer_points_at_the_rule_that_decided() -> None:
    shown = answer(POLICIES, judge(POLICIES, Trial(action="trade:execute", resource="asset/BTC")), mode="enforce")
    assert "Rule <b>no-crypto</b> (2 of 4) decides: Crypto is outside." in shown
    assert shown.count("cz-line-chosen") == 5  # id, effect, action, resource, reason
    assert "it would not go ahead" in shown


def test_under_log_only_the_same_denial_goes_ahead_and_is_called_so() -> None:
    shown = answer(POLICIES, judge(POLICIES, Trial(action="trade:execute", resource="asset/BTC")), mode="log-only")
    assert "deny (logged only)" in shown
    assert "it would go ahead" in shown


def test_a_call_that_no_rule_matches_is_explained() -> None:
    shown = answer(POLICIES, judge(POLICIES, Trial(action="shell:run")), mode="enforce")
    assert "None of its 4 rules matches" in shown


@pytest.mark.parametrize("text", ["{", "[1]", "500", '"amount"'])
def test_facts_that_are_no_object_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(Rejected, match="Arguments: expected a JSON object such as"):
        judge(POLICIES, Trial(action="ticket:refund", args=text))


def test_a_rule_without_a_reason_is_named_without_the_marks_of_plain_text() -> None:
    shown = answer(POLICIES, judge(POLICIES, Trial(action="trade:execute", resource="asset/AAPL")), mode="enforce")
    assert "`" not in shown
    assert ">trading-agent-policy#1</span> of policy" in shown
