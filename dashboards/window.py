"""The stretch of time a page looks at: parsed from the URL, cut into buckets, with the period before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
# Their names are what the toolbar shows and what the address holds.
PRESETS: Final = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
}
CUSTOM: Final = "custom"
PRESET_DEFAULT: Final = "24h"
BUCKETS_MAX: Final = 72  # bars wide enough to hover at 1280 px, and still apart at 390
BUCKET_LENGTHS: Final = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 10080))


@dataclass(frozen=True, kw_only=True)
class Window:
    """From `from_at` up to but without `until_at`, both on whole minutes of UTC: the grain of the rollups."""

    name: str  # a key of PRESETS, or `custom`
    from_at: datetime
    until_at: datetime

    @property
    def length(self) -> timedelta:
        """Return how long it is."""
        return self.until_at - self.from_at


def window_of(name: str, *, now: datetime, custom_from_at: datetime | None = None, custom_until_at: datetime | None = None) -> Window:
    """Return the window a URL names; a custom one that is missing or backwards falls back to the default preset."""
    if name == CUSTOM and custom_from_at and custom_until_at and custom_from_at < custom_until_at:
        return Window(
            name=CUSTOM, from_at=_floor_minute(custom_from_at), until_at=_floor_minute(custom_until_at + MINUTE - timedelta.resolution)
        )
    length = PRESETS.get(name, PRESETS[PRESET_DEFAULT])
    until_at = _floor_minute(now) + MINUTE
    return Window(name=name if name in PRESETS else PRESET_DEFAULT, from_at=until_at - length, until_at=until_at)


def before(window: Window) -> Window:
    """Return the period of the same length right before: what a delta compares with."""
    return Window(name=CUSTOM, from_at=window.from_at - window.length, until_at=window.from_at)


def bucket_length(window: Window) -> timedelta:
    """Return the shortest round bucket that needs at most BUCKETS_MAX of them."""
    return next((length for length in BUCKET_LENGTHS if window.length / length <= BUCKETS_MAX), BUCKET_LENGTHS[-1])


def bucket_starts(window: Window) -> Sequence[datetime]:
    """Return the start of every bucket the window touches, on round times of UTC, so that no bar is missing."""
    length = bucket_length(window)
    first = _floor(window.from_at, length)
    count = -((first - window.until_at) // length)
    return [first + i * length for i in range(count)]


def bucket_labels(window: Window) -> list[str]:
    """Return what the axis says of each bucket: the time within a day, the day beyond."""
    days = window.length > timedelta(days=2)
    whole_days = bucket_length(window) >= timedelta(days=1)
    shape = "%b %-d" if whole_days else "%b %-d %H:%M" if days else "%H:%M"
    return [start.strftime(shape) for start in bucket_starts(window)]


def describe(window: Window) -> str:
    """Return the window in words: `last 24 h` or its two ends in UTC."""
    if window.name in PRESETS:
        return f"last {in_words(window.length)}"
    return f"{window.from_at:%Y-%m-%d %H:%M} to {window.until_at:%Y-%m-%d %H:%M} UTC"


def in_utc(window: Window) -> str:
    """Return the window in words beside a chart whose times are UTC, said once."""
    return f"{describe(window)}, UTC" if window.name in PRESETS else describe(window)


def within(window: Window) -> str:
    """Return the window as a sentence goes on with it: `in the last 24 h`, or `from` its one end to the other."""
    return f"{'in the' if window.name in PRESETS else 'from'} {describe(window)}"


def containing(at: datetime, *, first_at: datetime, now: datetime) -> Window:
    """Return a window that ends with what happened at `at`: the shortest preset that reaches it, else the days up to it."""
    presets = (window_of(name, now=now) for name in PRESETS)
    reaching = next((window for window in presets if window.from_at <= at < window.until_at), None)
    until_at = _floor(at, HOUR) + HOUR
    return reaching or Window(name=CUSTOM, from_at=max(_floor(first_at, HOUR), until_at - max(PRESETS.values())), until_at=until_at)


def parse_moment(text: str) -> datetime | None:
    """Return the time an address holds, in UTC and without its zone as a picker wants it; None where it holds none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def in_words(length: timedelta) -> str:
    """Return a length of time in whole units: `15 min`, `24 h`, `7 days`."""
    if length in (timedelta(hours=1), timedelta(days=1)):
        return "hour" if length == timedelta(hours=1) else "24 h"
    for unit, name in ((timedelta(days=1), "days"), (timedelta(hours=1), "h"), (MINUTE, "min")):
        if length > unit and length % unit == timedelta():
            return f"{length // unit} {name}"
    return f"{length / timedelta(hours=1):.1f} h"


def _floor_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _floor(moment: datetime, length: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return moment - (moment - epoch) % length
