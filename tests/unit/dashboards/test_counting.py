from datetime import UTC, datetime

from dashboards import charts
from dashboards.counting import bucket_parameters, series_by_standing, series_of, summed, totals_of
from dashboards.theme import colours
from dashboards.window import window_of

ROWS = [
    {"bucket": 0, "verdict": "allow", "mode": "enforce", "effect": "allow", "decisions": 5, "with_findings": 1},
    {"bucket": 2, "verdict": "deny", "mode": "log-only", "effect": "allow", "decisions": 2, "with_findings": 0},
    {"bucket": 2, "verdict": "deny", "mode": "enforce", "effect": "deny", "decisions": 3, "with_findings": 2},
    {"bucket": 1, "verdict": "deny", "mode": "off", "effect": "allow", "decisions": 1, "with_findings": 0},
]


def test_totals_keep_denials_and_what_would_have_been_denied_apart() -> None:
    totals = totals_of(ROWS)
    assert (totals.decisions, totals.denied, totals.let_through, totals.with_findings) == (11, 3, 3, 3)


def test_series_have_a_count_for_every_bucket() -> None:
    series = series_by_standing(ROWS, buckets=3)
    assert series == {"allow": [5, 0, 0], "deny_logged": [0, 0, 2], "deny_unenforced": [0, 1, 0], "deny": [0, 0, 3]}
    assert summed(series, buckets=3) == [5, 1, 5]


def test_a_bucket_beyond_the_window_is_not_drawn() -> None:
    assert series_by_standing([{**ROWS[0], "bucket": 9}, {**ROWS[0], "bucket": -1}], buckets=3) == {}


def test_other_counts_are_laid_out_under_their_name() -> None:
    rows = [{"bucket": 1, "type": "pii", "findings": 4}]
    assert series_of(rows, name="type", value="findings", buckets=2) == {"pii": [0, 4]}


def test_the_sum_of_nothing_is_zero_in_every_bucket() -> None:
    assert summed({}, buckets=3) == [0, 0, 0]


def test_a_question_over_time_begins_with_a_whole_bucket() -> None:
    window = window_of("24h", now=datetime(2026, 11, 20, 14, 7, tzinfo=UTC))
    asked = bucket_parameters(window)
    assert asked["from_at"] == datetime(2026, 11, 19, 14, 0, tzinfo=UTC)
    assert asked["bucket_us"] == 30 * 60 * 1_000_000


def test_a_chart_stacks_what_occurs_in_the_order_of_the_words_each_in_its_tone() -> None:
    palette = colours("dark")
    option = charts.effects_over_time(["a", "b", "c"], series_by_standing(ROWS, buckets=3), palette=palette)
    assert [series["name"] for series in option["series"]] == ["allow", "deny (logged only)", "deny (not enforced)", "deny"]
    assert option["series"][0]["itemStyle"]["color"] == palette.tones["allow"]
    assert option["legend"]["data"] == [series["name"] for series in option["series"]]
    assert all(len(series["data"]) == len(option["xAxis"]["data"]) for series in option["series"])


def test_what_would_have_been_denied_is_hatched_and_what_was_denied_is_not() -> None:
    option = charts.effects_over_time(["a", "b", "c"], series_by_standing(ROWS, buckets=3), palette=colours("light"))
    hatched = {series["name"] for series in option["series"] if "decal" in series["itemStyle"]}
    assert hatched == {"deny (logged only)", "deny (not enforced)"}


def test_a_chart_says_in_words_what_it_shows() -> None:
    said = charts.alternative("Decisions over time", ["14:00", "15:00", "16:00"], series_by_standing(ROWS, buckets=3))
    assert said == "Decisions over time from 14:00 to 16:00: 5 allow, 2 deny (logged only), 1 deny (not enforced), 3 deny."


def test_an_empty_chart_says_nothing_happened() -> None:
    assert charts.alternative("Decisions", [], {}) == "Decisions: nothing."
