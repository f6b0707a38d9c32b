import re
from html import unescape
from typing import Any, get_args

import pytest

from controlzero.records import BundleState
from dashboards.explain import BUNDLE_STATES, carried_out, why


def decision(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "deny", "shown_verdict": "deny", "mode": "log-only", "effect": "allow", "reason_code": "matched_rule", "rule_id": "no-mail",
        "policy_id": "production", "evaluated_rules": 10, "judged_verdict": "deny", "judged_reason_code": "matched_rule", "judged_rule_id": "no-mail",
        "judged_policy_id": "production", "judged_rule": 10, "not_replayable_key": None, "bundle_state": None, **changes,
    }  # fmt: skip


def said(row: dict[str, Any], rules: int | None = 16) -> str:
    return re.sub(r"<[^>]+>", "", why(row, rules=rules))


def test_a_log_only_denial_names_its_rule_and_that_it_was_logged_only() -> None:
    assert said(decision()) == (
        "Rule no-mail (10 of 16) of policy production says deny. The mode was log-only, so the agent was told to go ahead: deny (logged only)."
    )


def test_an_enforced_denial_says_the_agent_was_told_not_to_go_ahead() -> None:
    assert said(decision(mode="enforce", effect="deny")).endswith("says deny. The agent was told not to go ahead.")


def test_a_default_deny_says_that_no_rule_matches() -> None:
    assert said(decision(reason_code="default_deny", rule_id=None)).startswith("No rule matches it, and what no rule matches is denied.")


def test_what_an_order_denied_says_what_the_policy_says_as_well() -> None:
    row = decision(verdict="allow", shown_verdict="allow", effect="deny", reason_code="order")
    assert said(row) == (
        "An order (a kill switch or a budget stop) denied it, in any mode. The policy itself says allow. The agent was told not to go ahead."
    )


def test_what_only_workers_judged_says_so() -> None:
    row = decision(verdict=None, mode="off", reason_code="governance_off")
    assert said(row).startswith("Workers judged it, because nothing did in the agent. Rule no-mail")


def test_a_masked_key_is_named_and_nothing_is_guessed() -> None:
    row = decision(verdict=None, judged_verdict="not_replayable", shown_verdict="not_replayable", not_replayable_key="args.amount")
    assert "args.amount" in said(row)
    assert "no verdict" in said(row)


def test_a_verdict_without_a_rule_is_the_agents_word_and_the_workers_judgement_is_apart() -> None:
    row = decision(verdict="allow", shown_verdict="allow", reason_code=None, rule_id=None, policy_id=None, evaluated_rules=0)
    assert said(row) == (
        "The agent says allow and names no rule. Workers asked the policy in force: Rule no-mail (10 of 16) of policy production says deny. "
        "The agent was free to go ahead."
    )
    assert "Nothing was evaluated" not in said(row)


def test_a_verdict_without_a_rule_that_nobody_judged_since_says_so() -> None:
    row = decision(verdict="deny", reason_code=None, rule_id=None, policy_id=None, judged_verdict=None, effect="deny", mode="enforce")
    assert said(row) == "The agent says deny and names no rule. No policy judged it since. The agent was told not to go ahead."


@pytest.mark.parametrize("code", ["malformed_request", "order", "stale_bundle", "evaluator_error", "unrecordable", "governance_off"])
def test_every_reason_has_its_own_sentence(code: str) -> None:
    others = {said(decision(reason_code=other)) for other in ("matched_rule", "default_deny")}
    assert said(decision(reason_code=code)) not in others


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({}, "carried out: unknown"),
        ({"carried_out": True, "status": "ok", "error_class": None}, "carried out, ok"),
        ({"carried_out": True, "status": "error", "error_class": "TimeoutError"}, "carried out, error (TimeoutError)"),
        ({"carried_out": False, "status": "denied", "error_class": None}, "not carried out, denied"),
    ],
)
def test_an_outcome_is_said_and_its_absence_is_unknown(outcome: dict[str, Any], words: str) -> None:
    assert carried_out(outcome) == words


def test_how_things_stood_with_the_bundle_is_said() -> None:
    assert BUNDLE_STATES.keys() == set(get_args(BundleState))
    for state, sentence in BUNDLE_STATES.items():
        assert unescape(said(decision(bundle_state=state))).endswith(sentence)
