"""Alerts and their life: pending, firing, resolved; kept as one line for each change in a small file that pages read."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from processors.watch.spikes import MINUTE_US, RATIO_MIN, Reading

State = Literal["pending", "firing", "resolved"]
Rule = Literal["denial_jump", "enforcement_gap", "drift"]

SUSPECTED_MINUTES_MAX = 3  # suspected for this many minutes in a row is as good as sure
CALM_MINUTES = 2  # in a row, and each when nothing of the jump is left in the longest window
CALM_RATIO = RATIO_MIN / 2  # a firing alert ends well below where it began, so that it does not flap
OPEN_US_MAX = 6 * 3_600_000_000  # a level that lasts this long is the new one
FILE_BYTES_MAX = 4 << 20  # some 8,000 changes; then the file is written anew with the newest alerts
ALERTS_KEPT = 1_000


class Alert(Struct, frozen=True, kw_only=True, tag_field="kind", tag="alert"):
    """Something a person must see, as of its last change. Times are microseconds since 1970 UTC."""

    alert_id: str
    project_id: str
    rule: Rule = "denial_jump"
    state: State
    since_at: int  # the start of the window it was first seen in
    changed_at: int  # the end of the minute that changed it: our clock, not the agents'
    window_minutes: int
    denials: int  # of an enforcement_gap: the actions that went ahead; of drift: the decisions it was found of
    decisions: int = 0  # this and the next three: of a denial_jump
    before_denials: int = 0
    before_minutes: int = 0
    p: float = 0.0
    message: str
    suspected_minutes: int = 1
    calm_minutes: int = 0


class Delivery(Struct, frozen=True, kw_only=True, tag_field="kind", tag="delivery"):
    """An attempt to tell a webhook of an alert's change."""

    alert_id: str
    state: State
    at: int
    ok: bool
    why: str = ""


Line = Alert | Delivery

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def advance(open_alerts: Mapping[str, Alert], readings: Iterable[Reading], *, at: int) -> tuple[dict[str, Alert], list[Alert]]:
    """Return the open alerts by project after a minute that ended `at`, and those whose state changed in it.

    A project without a reading had nothing to read: its alert grows calmer.
    """
    by_project = {reading.project_id: reading for reading in readings}
    after: dict[str, Alert] = {}
    changed: list[Alert] = []
    for project_id in sorted({*open_alerts, *by_project}):
        before = open_alerts.get(project_id)
        now = _advanced(before, by_project.get(project_id), at)
        if now is not None and now.state != "resolved":
            after[project_id] = now
        if now is not None and (before is None or now.state != before.state):
            changed.append(now)
    return after, changed


def _advanced(alert: Alert | None, reading: Reading | None, at: int) -> Alert | None:
    if alert is None:
        return _opened(reading) if reading is not None and reading.is_suspected else None
    if alert.state == "pending":
        return _pending(alert, reading, at)
    is_calm = reading is None or _times(alert, reading) < CALM_RATIO
    if at - alert.since_at > OPEN_US_MAX:
        return replace(alert, state="resolved", changed_at=at, message=f"{alert.message}; it has lasted since and counts as the new level")
    calm_minutes = alert.calm_minutes + 1 if is_calm else 0
    if calm_minutes < CALM_MINUTES:
        return replace(alert, calm_minutes=calm_minutes)
    return replace(alert, state="resolved", changed_at=at, calm_minutes=calm_minutes, message=f"{alert.message}; it is over")


def _pending(alert: Alert, reading: Reading | None, at: int) -> Alert:
    if reading is None or not reading.is_suspected:
        return replace(alert, state="resolved", changed_at=at, message=f"{alert.message}; it did not last")
    again = _opened(reading)
    minutes = alert.suspected_minutes + 1
    fires = reading.is_sure or minutes >= SUSPECTED_MINUTES_MAX
    return replace(
        again, alert_id=alert.alert_id, since_at=alert.since_at, suspected_minutes=minutes, state="firing" if fires else "pending"
    )


def _opened(reading: Reading) -> Alert:
    since_at = reading.at - reading.window_minutes * MINUTE_US
    named = f"denial_jump/{reading.project_id}/{since_at}"
    before = f"{reading.before_denials:,} in the {_minutes(reading.before_minutes)} before"
    return Alert(
        alert_id=hashlib.sha256(named.encode()).hexdigest()[:32],
        project_id=reading.project_id,
        state="firing" if reading.is_sure else "pending",
        since_at=since_at,
        changed_at=reading.at,
        window_minutes=reading.window_minutes,
        denials=reading.denials,
        decisions=reading.decisions,
        before_denials=reading.before_denials,
        before_minutes=reading.before_minutes,
        p=reading.p,
        message=f"denials jumped: {reading.denials:,} of {reading.decisions:,} decisions in {_minutes(reading.window_minutes)}, {before}",
    )


def _times(alert: Alert, reading: Reading) -> float:
    """Return the rate now against the rate before the alert began: a jump must not become its own measure."""
    before = max(alert.before_denials, 1) / alert.before_minutes
    return reading.denials / reading.window_minutes / before


def _minutes(count: int) -> str:
    return "1 minute" if count == 1 else f"{count} minutes"


def read(path: Path) -> list[Alert]:
    """Return every alert as it stands, the one that changed last at the end; none where there is no file."""
    return list(_folded(lines_of(path)).values())


def lines_of(path: Path) -> list[Line]:
    """Return the changes and deliveries in the file; the last line may be torn and is passed over then."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[Line] = []
    for line in raw.split(b"\n")[:-1]:
        try:
            found.append(_decode(line))
        except msgspec.DecodeError:
            continue
    return found


def _folded(lines: Iterable[Line]) -> dict[str, Alert]:
    alerts: dict[str, Alert] = {}
    for line in lines:
        if isinstance(line, Alert):
            alerts.pop(line.alert_id, None)
            alerts[line.alert_id] = line
    return alerts


def append(path: Path, lines: Sequence[Line]) -> None:
    """Add lines durably; what a crash tore off before is cut away, and a file grown too long is written anew."""
    if not lines:
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(handle, "r+b") as file:  # noqa: PTH123 - the descriptor carries the mode
        whole = file.read()
        end = whole.rfind(b"\n") + 1
        if end > FILE_BYTES_MAX:
            _rewrite(path, [*list(_folded(lines_of(path)).values())[-ALERTS_KEPT:], *lines])
            return
        file.seek(end)
        file.truncate()
        file.write(_text(lines))
        file.flush()
        os.fsync(handle)
    _sync_folder(path.parent)


def _rewrite(path: Path, lines: Sequence[Line]) -> None:
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(_text(lines))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _text(lines: Iterable[Line]) -> bytes:
    return b"".join(_encode(line) + b"\n" for line in lines)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
