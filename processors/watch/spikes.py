"""Find jumps in denials: the last minutes against the hour before them. Live detection and a backtest are this same function."""

from collections.abc import Iterable, Mapping, Sequence
from math import exp, lgamma, log

from msgspec import Struct

MINUTE_US = 60_000_000
WINDOWS = (1, 5)  # minutes looked at: one sees a burst soon, five see a slower rise
BASELINE_MINUTES = 60
DENIALS_MIN = 10  # fewer are no incident, however rare they were before
RATIO_MIN = 3.0  # times the rate before: traffic that grows by the half is no incident either
# How unlikely a jump must be by chance. Each project is looked at 2,880 times a day: at 1e-6 chance alone says `sure` once in a year.
P_SURE, P_SUSPECTED = 1e-6, 1e-3


class Count(Struct, frozen=True):
    """A project's live decisions of a minute, by when they were received; denied by the agent, by the workers, or both."""

    decisions: int
    denials: int


class Minute(Struct, frozen=True):
    """A full minute: when it began (microseconds since 1970 UTC), and the counts of the projects that had decisions in it."""

    began_at: int
    counts: Mapping[str, Count]


class SpikeState(Struct, frozen=True):
    """The minutes that are still needed, the oldest first."""

    minutes: tuple[Minute, ...] = ()


class Reading(Struct, frozen=True, kw_only=True):
    """A project's last minutes beside those before them; `p` is how likely such a window is if nothing changed."""

    project_id: str
    at: int  # the end of the window
    window_minutes: int
    denials: int
    decisions: int
    before_denials: int
    before_minutes: int
    p: float

    @property
    def ratio(self) -> float:
        """Times the rate before; infinite where there was no denial."""
        before = self.before_denials / self.before_minutes
        return self.denials / self.window_minutes / before if before else float("inf")

    @property
    def is_suspected(self) -> bool:
        """Whether it may be a jump."""
        return self.denials >= DENIALS_MIN and self.ratio >= RATIO_MIN and self.p < P_SUSPECTED

    @property
    def is_sure(self) -> bool:
        """Whether chance is no explanation."""
        return self.is_suspected and self.p < P_SURE


def step(state: SpikeState, minute: Minute) -> tuple[SpikeState, list[Reading]]:
    """Return the state with one more minute, and each project's most telling reading at its end.

    Minutes come in order; one that is left out had no decisions. A project without a minute before its window has no reading:
    there is nothing to compare with.
    """
    oldest = minute.began_at - (BASELINE_MINUTES + max(WINDOWS) - 1) * MINUTE_US
    minutes = (*(one for one in state.minutes if oldest <= one.began_at < minute.began_at), minute)
    projects = sorted({name for one in minutes for name in one.counts})
    readings = [reading for name in projects if (reading := _telling(name, minutes, minute.began_at)) is not None]
    return SpikeState(minutes), readings


def _telling(project_id: str, minutes: Sequence[Minute], last: int) -> Reading | None:
    mine = {one.began_at: one.counts[project_id] for one in minutes if project_id in one.counts}
    found = [reading for window in WINDOWS if (reading := _reading(project_id, mine, window, last)) is not None]
    return min(found, key=lambda reading: (not reading.is_suspected, reading.p), default=None)


def _reading(project_id: str, mine: Mapping[int, Count], window: int, last: int) -> Reading | None:
    start = last - (window - 1) * MINUTE_US
    since = max(min(mine), start - BASELINE_MINUTES * MINUTE_US)  # a project that began half an hour ago is compared with half an hour
    before_minutes = (start - since) // MINUTE_US
    if before_minutes <= 0:
        return None
    now = _sum(count for began_at, count in mine.items() if began_at >= start)
    before = _sum(count for began_at, count in mine.items() if since <= began_at < start)
    return Reading(
        project_id=project_id,
        at=last + MINUTE_US,
        window_minutes=window,
        denials=now.denials,
        decisions=now.decisions,
        before_denials=before.denials,
        before_minutes=before_minutes,
        p=p_of_jump(now.denials, before.denials, share=window / (window + before_minutes)),
    )


def p_of_jump(now: int, before: int, *, share: float) -> float:
    """Return how likely at least `now` of `now + before` Poisson events fall into the window that is `share` of the time.

    The exact conditional test of two Poisson rates: given their sum, the count in the window is binomial. It knows that
    a short or quiet baseline says little. Przyborowski & Wilenski, Biometrika 31 (1940), "Homogeneity of results in
    testing samples from Poisson series".
    """
    many = now + before
    if now <= many * share:
        return 1.0
    term = exp(lgamma(many + 1) - lgamma(now + 1) - lgamma(before + 1) + now * log(share) + before * log(1 - share))
    total, odds = term, share / (1 - share)
    for count in range(now, many):  # the tail's terms shrink from here on
        term *= (many - count) / (count + 1) * odds
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, total)


def _sum(counts: Iterable[Count]) -> Count:
    listed = list(counts)
    return Count(sum(one.decisions for one in listed), sum(one.denials for one in listed))
