from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controlzero.records import Mode
from dashboards.consequence import NEXT_MODES, Consequence, consequence_of, found_by, judged_by, said_of, said_of_policy
from dashboards.counting import Totals
from dashboards.views.overview import headline
from dashboards.window import window_of

HAPPENED = Consequence(
    period="in the last 24 h", decisions=2_600, judged=2_000, judged_by_others=500, let_through=312, agents_let_through=4, denied=21, agents_denied=1,
    not_replayable=0,
)  # fmt: skip
UNJUDGED = consequence_of({"decisions": 40, "judged_by_others": 40}, period="in the last 24 h")
DAY = window_of("24h", now=datetime(2026, 11, 20, tzinfo=UTC))


def text_of(markup: str) -> str:
    import re

    return re.sub(r"<[^>]+>", "", markup)


def test_switching_to_enforce_states_its_consequence_in_numbers() -> None:
    said = text_of(said_of("enforce", HAPPENED, judged_ever=True))
    assert "In the last 24 h 312 calls by 4 agents would have been denied." in said


def test_denials_by_rules_that_only_log_are_told_apart_from_those_that_enforcing_brings() -> None:
    happened = replace(HAPPENED, only_logged=7)
    told = " 7 denials by rules that only log would have gone ahead all the same. They are not counted here."
    assert "312 calls by 4 agents would have been denied." + told in text_of(said_of("enforce", happened, judged_ever=True))
    assert text_of(found_by("enforce", happened, judged_ever=True)).endswith("would have been denied under enforce." + told)
    assert told not in text_of(said_of("log-only", happened, judged_ever=True))


def test_switching_to_log_only_says_what_would_have_gone_ahead() -> None:
    said = text_of(said_of("log-only", HAPPENED, judged_ever=True))
    assert "21 calls by 1 agent that were denied would have gone ahead" in said


def test_what_other_policies_judged_is_counted_apart() -> None:
    assert judged_by(HAPPENED) == (
        "2,000 of 2,600 decisions in the last 24 h were judged by the policy in force; left out here: 500 by earlier ones, 100 by none."
    )
    assert judged_by(HAPPENED) in text_of(said_of("enforce", HAPPENED, judged_ever=True))


@pytest.mark.parametrize("mode", ["enforce", "log-only", "off"])
def test_where_the_policy_judged_nothing_there_is_no_evidence_and_no_zero(mode: Mode) -> None:
    said = text_of(said_of(mode, UNJUDGED, judged_ever=False))
    assert "no evidence" in said
    assert "No call was judged by this policy yet" in said
    assert "No call was judged by this policy in the last 24 h" in text_of(found_by(mode, UNJUDGED, judged_ever=True))


def test_the_banner_is_about_the_calls_this_policy_judged() -> None:
    assert text_of(found_by("enforce", HAPPENED, judged_ever=True)) == (
        "In the last 24 h, of 2,000 calls judged by this policy, 312 calls by 4 agents would have been denied under enforce."
    )


def test_the_banner_of_enforce_says_what_was_denied_and_what_went_ahead_all_the_same() -> None:
    said = text_of(found_by("log-only", HAPPENED, judged_ever=True))
    assert said.endswith("of 2,000 calls judged by this policy, 21 calls by 1 agent were denied and 312 that it denies went ahead.")
    quiet = replace(HAPPENED, denied=0, agents_denied=0, let_through=0)
    assert text_of(found_by("log-only", quiet, judged_ever=True)).endswith("judged by this policy, none was denied.")


@pytest.mark.parametrize(("effect", "is_warned"), [("deny", True), ("allow", False), ("warn", False), ("audit", False)])
def test_a_policy_that_denies_everything_is_named_so(effect: str, is_warned: bool) -> None:
    rules = [{"effect": "deny", "action": "shell:*"}, {"effect": effect, "action": "llm:*"}]
    assert ("No rule of it allows anything" in text_of(said_of_policy("enforce", [{"name": "p", "rules": rules}]))) == is_warned


def test_a_policy_without_a_rule_denies_everything() -> None:
    assert "every call of every agent is denied" in text_of(said_of_policy("enforce", [{"name": "p", "rules": []}]))


@pytest.mark.parametrize("mode", NEXT_MODES)
def test_every_mode_leads_to_the_two_others(mode: Mode) -> None:
    assert {mode, *NEXT_MODES[mode]} == {"enforce", "log-only", "off"}


def test_the_headline_of_log_only_says_would_have_been_denied_and_that_nothing_was_stopped() -> None:
    said = text_of(headline("log-only", Totals(by_standing={"allow": 90, "deny_logged": 10}), 3, DAY))
    assert said == "log-only In the last 24 h, 3 agents asked 100 times; 10 calls would have been denied (10 %). Nothing was stopped."


def test_the_headline_of_enforce_says_were_denied() -> None:
    said = text_of(headline("enforce", Totals(by_standing={"allow": 99, "deny": 1}), 1, DAY))
    assert said == "enforce In the last 24 h, 1 agent asked 100 times; 1 call was denied."


def test_the_headline_of_a_quiet_period_claims_nothing() -> None:
    assert text_of(headline("enforce", Totals(), 0, DAY)) == "enforce No agent asked for anything in the last 24 h."
