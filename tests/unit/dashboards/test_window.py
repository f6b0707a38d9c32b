from datetime import UTC, datetime, timedelta

import pytest

from dashboards.window import (
    BUCKETS_MAX,
    CUSTOM,
    PRESETS,
    Window,
    before,
    bucket_labels,
    bucket_length,
    bucket_starts,
    containing,
    describe,
    in_utc,
    window_of,
    within,
)

NOW = datetime(2026, 11, 20, 14, 7, 31, tzinfo=UTC)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_ends_with_the_minute_under_way_and_is_as_long_as_it_says(name: str) -> None:
    window = window_of(name, now=NOW)
    assert window.until_at == datetime(2026, 11, 20, 14, 8, tzinfo=UTC)
    assert window.length == PRESETS[name]


def test_an_unknown_name_is_the_default_and_says_so() -> None:
    assert window_of("'; DROP TABLE", now=NOW).name == "24h"


def test_a_custom_window_backwards_falls_back_to_the_default() -> None:
    assert window_of(CUSTOM, now=NOW, custom_from_at=NOW, custom_until_at=NOW - timedelta(hours=1)).name == "24h"


def test_a_custom_window_covers_every_minute_it_touches() -> None:
    window = window_of(CUSTOM, now=NOW, custom_from_at=NOW - timedelta(hours=3), custom_until_at=NOW)
    assert (window.from_at.second, window.until_at) == (0, datetime(2026, 11, 20, 14, 8, tzinfo=UTC))


def test_the_period_before_ends_where_the_window_begins_and_is_as_long() -> None:
    window = window_of("7d", now=NOW)
    assert (before(window).until_at, before(window).length) == (window.from_at, window.length)


@pytest.mark.parametrize("hours", [0.05, 0.25, 1, 24, 24 * 7, 24 * 14, 24 * 90, 24 * 400])
def test_buckets_cover_the_window_on_round_times_and_stay_few(hours: float) -> None:
    window = Window(name=CUSTOM, from_at=NOW.replace(second=0) - timedelta(hours=hours), until_at=NOW.replace(second=0))
    starts, length = bucket_starts(window), bucket_length(window)
    assert starts[0] <= window.from_at < starts[0] + length
    assert starts[-1] < window.until_at <= starts[-1] + length
    assert len(starts) <= BUCKETS_MAX + 1
    assert all((start - datetime(1970, 1, 1, tzinfo=UTC)) % length == timedelta() for start in starts)
    assert len(bucket_labels(window)) == len(starts)


@pytest.mark.parametrize(
    ("name", "words"), [("15m", "last 15 min"), ("1h", "last hour"), ("24h", "last 24 h"), ("7d", "last 7 days"), ("14d", "last 14 days")]
)
def test_a_preset_is_said_as_people_say_it(name: str, words: str) -> None:
    assert describe(window_of(name, now=NOW)) == words


def test_a_custom_window_is_said_by_its_ends_in_utc() -> None:
    window = window_of(CUSTOM, now=NOW, custom_from_at=NOW - timedelta(days=1), custom_until_at=NOW)
    assert describe(window) == "2026-11-19 14:07 to 2026-11-20 14:08 UTC"


@pytest.mark.parametrize("name", ["24h", CUSTOM])
def test_utc_is_said_once(name: str) -> None:
    window = window_of(name, now=NOW, custom_from_at=NOW - timedelta(days=1), custom_until_at=NOW)
    assert in_utc(window).count("UTC") == 1


def test_a_window_goes_on_in_a_sentence() -> None:
    assert within(window_of("7d", now=NOW)) == "in the last 7 days"
    custom = window_of(CUSTOM, now=NOW, custom_from_at=NOW - timedelta(days=1), custom_until_at=NOW)
    assert within(custom) == "from 2026-11-19 14:07 to 2026-11-20 14:08 UTC"


@pytest.mark.parametrize(("age", "name"), [(timedelta(minutes=5), "15m"), (timedelta(hours=3), "24h"), (timedelta(days=13), "14d")])
def test_what_happened_lately_is_in_the_shortest_preset_that_reaches_it(age: timedelta, name: str) -> None:
    assert containing(NOW - age, first_at=NOW - timedelta(days=90), now=NOW).name == name


@pytest.mark.parametrize("began", [timedelta(hours=5), timedelta(days=300)])
def test_what_happened_long_ago_is_in_a_window_of_its_own(began: timedelta) -> None:
    last_at = NOW - timedelta(days=80)
    window = containing(last_at, first_at=last_at - began, now=NOW)
    assert window.name == CUSTOM
    assert window.from_at <= last_at < window.until_at
    assert window.length <= timedelta(days=14)
