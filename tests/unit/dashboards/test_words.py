from datetime import UTC, datetime, timedelta

import pytest

from dashboards import words
from dashboards.words import WORDS, standing

NOW = datetime(2026, 11, 20, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("verdict", "mode", "effect", "stands"),
    [
        ("allow", "enforce", "allow", "allow"),
        ("warn", "log-only", "allow", "warn"),
        ("audit", "enforce", "audit", "audit"),
        ("deny", "enforce", "deny", "deny"),
        ("deny", "log-only", "allow", "deny_logged"),
        ("deny", "enforce", "allow", "deny_unenforced"),  # only workers judged it
        ("deny", "off", "allow", "deny_unenforced"),
        ("allow", "log-only", "deny", "deny"),  # an order denies in log-only too
        (None, "off", "allow", "unevaluated"),
        ("not_replayable", "log-only", "allow", "not_replayable"),
    ],
)
def test_how_a_decision_stands_is_its_verdict_read_with_mode_and_effect(verdict: str | None, mode: str, effect: str, stands: str) -> None:
    assert standing(verdict=verdict, mode=mode, effect=effect) == stands


def test_a_log_only_denial_is_called_deny_logged_only() -> None:
    assert WORDS["deny_logged"].label == "deny (logged only)"


def test_no_word_says_blocked() -> None:
    assert not [word for word in WORDS.values() if "block" in f"{word.label} {word.meaning} {word.icon} {word.material}".lower()]


def test_every_standing_has_an_icon_and_its_own_label() -> None:
    assert all(word.icon and word.material and word.label for word in WORDS.values())
    assert len({word.label for word in WORDS.values()}) == len(WORDS)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "no data"), (0, 50, "0 %"), (1, 5000, "<0.1 %"), (4999, 5000, ">99.9 %"), (50, 50, "100 %"), (1, 3, "33.3 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part: int, whole: int, said: str) -> None:
    assert words.percent(part, whole) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (3, "3 s ago"),
        (90, "2 min ago"),
        (7200, "2 h ago"),
        (86400 * 9, "9 d ago"),
        (-3, "0 s ago"),
        (-60, "1 min ahead of our clock"),
    ],
)
def test_ages_are_said_in_their_largest_unit(seconds: int, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), now=NOW) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0"), (9_999, "9,999"), (12_400, "12.4k"), (3_000_000, "3M"), (2_500_000_000, "2.5B")])
def test_figures_on_cards_are_short(number: int, said: str) -> None:
    assert words.compact(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(1_204, "1,204"), (84.99999999999999, "85"), (0.0042000001, "0.0042"), (12_345.678, "12,346"), (0, "0"), (3e-9, "3.0e-09")],
)
def test_a_measured_number_has_the_digits_that_say_something(number: float, said: str) -> None:
    assert words.figure(number) == said
