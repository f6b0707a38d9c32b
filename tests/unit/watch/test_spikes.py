"""When denials jump, and when they do not."""

import math

import pytest

from processors.watch.spikes import BASELINE_MINUTES, MINUTE_US, Count, Minute, Reading, SpikeState, p_of_jump, step


def readings_of(denials: list[int], *, decisions: int = 100, project: str = "shop") -> list[list[Reading]]:
    """The readings of each minute of a project that had these denials in its minutes."""
    state, found = SpikeState(), []
    for place, count in enumerate(denials):
        state, readings = step(state, Minute(place * MINUTE_US, {project: Count(decisions, count)}))
        found.append(readings)
    return found


def last_of(denials: list[int]) -> Reading:
    return readings_of(denials)[-1][0]


def test_a_burst_in_one_minute_is_sure() -> None:
    assert last_of([1] * 60 + [40]).is_sure


def test_a_slower_rise_is_seen_over_five_minutes() -> None:
    reading = last_of([1] * 60 + [6] * 5)
    assert reading.is_suspected
    assert reading.window_minutes == 5


def test_a_steady_rate_is_no_jump_however_high() -> None:
    assert not any(reading.is_suspected for minute in readings_of([500] * 70) for reading in minute)


def test_few_denials_are_no_jump_however_rare_they_were() -> None:
    assert not last_of([0] * 60 + [9]).is_suspected


def test_traffic_that_doubles_is_no_jump() -> None:
    assert not last_of([1000] * 60 + [2000] * 5).is_suspected


def test_a_short_baseline_needs_more_to_be_sure() -> None:
    assert not last_of([2, 15]).is_sure
    assert last_of([2, 60]).is_sure


def test_a_project_seen_for_the_first_time_has_nothing_to_be_compared_with() -> None:
    assert readings_of([500])[-1] == []


def test_a_pause_counts_as_minutes_without_denials() -> None:
    state, _ = step(SpikeState(), Minute(0, {"shop": Count(5, 0)}))
    for place in range(1, 60):
        state, _ = step(state, Minute(place * MINUTE_US, {}))
    _, readings = step(state, Minute(60 * MINUTE_US, {"shop": Count(50, 30)}))
    assert readings[0].before_minutes == BASELINE_MINUTES
    assert readings[0].is_sure


def test_projects_are_read_apart() -> None:
    state = SpikeState()
    for place in range(60):
        state, _ = step(state, Minute(place * MINUTE_US, {"shop": Count(9, 1), "bank": Count(9, 1)}))
    _, readings = step(state, Minute(60 * MINUTE_US, {"shop": Count(90, 80), "bank": Count(9, 1)}))
    assert [(reading.project_id, reading.is_sure) for reading in readings] == [("bank", False), ("shop", True)]


def test_a_backtest_over_a_day_keeps_no_more_than_it_needs() -> None:
    state = SpikeState()
    for place in range(300):
        state, _ = step(state, Minute(place * MINUTE_US, {"shop": Count(9, 1)}))
    assert len(state.minutes) == BASELINE_MINUTES + 5


@pytest.mark.parametrize(("now", "before", "share"), [(3, 4, 0.5), (12, 30, 1 / 13), (40, 0, 0.25), (0, 5, 0.1), (700, 3000, 5 / 65)])
def test_the_tail_is_the_binomial_one(now: int, before: int, share: float) -> None:
    many = now + before
    exact = math.fsum(math.comb(many, k) * share**k * (1 - share) ** (many - k) for k in range(now, many + 1)) if many < 1000 else None
    found = p_of_jump(now, before, share=share)
    if exact is not None and now > many * share:
        assert found == pytest.approx(exact, rel=1e-9)
    else:
        assert 0 <= found <= 1


def test_chance_alone_hardly_ever_looks_sure() -> None:
    """Over every baseline of a quiet project, the chance that a Poisson window of the same rate is `sure` is below P_SURE."""
    rate = 5.0  # a minute, window of one, an hour before
    poisson = [math.exp(-rate + k * math.log(rate) - math.lgamma(k + 1)) for k in range(80)]
    fires = [p for k, p in enumerate(poisson) if k >= 10 and p_of_jump(k, 300, share=1 / 61) < 1e-6]
    assert fires
    assert math.fsum(fires) < 1e-6
