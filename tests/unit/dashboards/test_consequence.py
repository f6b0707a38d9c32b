from datetime import UTC, datetime

import pytest

from controlzero.records import Mode
from dashboards.consequence import NEXT_MODES, Consequence, consequence_of, said_of
from dashboards.counting import Totals
from dashboards.views.overview import headline
from dashboards.window import window_of

HAPPENED = Consequence(days=7, decisions=2000, let_through=312, agents_let_through=4, let_through_before=0, denied=21, agents_denied=1)
DAY = window_of("24h", now=datetime(2026, 11, 20, tzinfo=UTC))


def text_of(markup: str) -> str:
    import re

    return re.sub(r"<[^>]+>", "", markup)


def test_switching_to_enforce_states_its_consequence_in_numbers() -> None:
    assert "In the last 7 days 312 calls by 4 agents would have been denied." in text_of(said_of("enforce", HAPPENED))


def test_switching_to_log_only_says_what_would_have_gone_ahead() -> None:
    assert "21 calls by 1 agent that were denied would have gone ahead" in text_of(said_of("log-only", HAPPENED))


def test_denials_of_an_earlier_policy_are_told_apart() -> None:
    happened = Consequence(days=7, decisions=9, let_through=3, agents_let_through=1, let_through_before=2, denied=0, agents_denied=0)
    assert "2 of them were judged by an earlier policy" in text_of(said_of("enforce", happened))


@pytest.mark.parametrize("mode", ["enforce", "log-only", "off"])
def test_without_any_call_there_is_no_evidence_and_it_says_so(mode: Mode) -> None:
    assert "no evidence" in said_of(mode, consequence_of({}, days=7))


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
