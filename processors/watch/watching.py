"""The leased loop: each full minute, find what jumped or is critical, keep the alerts, tell who asked to be told."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import structlog
from msgspec import Struct

from controlplane.service import ControlPlane
from controlzero.errors import ControlZeroError, Rejected, Unavailable
from processors import log_lines
from processors.settings import Settings
from processors.watch import critical
from processors.watch.alerts import Alert, Line, advance, append, lines_of
from processors.watch.critical import Critical, Subject
from processors.watch.notify import deliver, due, webhook_client
from processors.watch.spikes import BASELINE_MINUTES, MINUTE_US, WINDOWS, Count, Minute, Reading, SpikeState, step
from processors.work import now_us
from topics.control import ControlFollower
from topics.ending import Ending, asked_by_signals
from topics.heartbeat import write_if_possible
from topics.log import Log
from topics.opening import open_log
from warehouse.snapshot import Session, Warehouse

# A minute is looked at this long after it ended: what was received in it has landed by then, or is counted at the next look.
SETTLE_US = 2_000_000
MISSED_MINUTES_MAX = 10  # looked at again after a pause; jumps before that are history, and a backtest shows them
NEEDED_US = (BASELINE_MINUTES + max(WINDOWS) + 1) * MINUTE_US
LINES_KEPT = 10_000  # in memory, to know what a webhook has been told: far more than a day has
LEASE_POLL_S = 2.0

_logger = structlog.get_logger("processors.watch")


class WatchHeartbeat(Struct, frozen=True, kw_only=True):
    """What the watch says of itself. Times are microseconds since 1970 UTC."""

    pid: int
    at: int
    minute: int  # the end of the last one looked at
    firing: int
    last_error: str | None = None


def minutes_of(rows: Iterable[dict[str, Any]], *, since: int, until: int) -> Iterator[Minute]:
    """Yield every minute from `since` up to `until`, with the counts that `queries/watch_minutes.sql` gave of some."""
    counted = {
        began_at: {row["project_id"]: Count(row["decisions"], row["denials"]) for row in group}
        for began_at, group in groupby(rows, key=lambda row: int(row["minute"]))
    }
    for began_at in range(since, until, MINUTE_US):
        yield Minute(began_at, counted.get(began_at, {}))


def readings_at(session: Session, minute: int) -> list[Reading]:
    """Return the readings at the end of a minute, from the rollups of the time it needs: no state is kept that the ledger has not."""
    since = minute - NEEDED_US
    rows = session.query("watch_minutes", since=since, until=minute).to_pylist()
    state, readings = SpikeState(), list[Reading]()
    for one in minutes_of(rows, since=since, until=minute):
        state, readings = step(state, one)
    return readings


def critical_between(session: Session, since: int, until: int) -> list[Critical]:
    """Return what a person must see, by rule, project and agent."""
    rows = session.query("watch_critical", since=since, until=until).to_pylist()
    return [Critical(**{**row, "details": tuple(row["details"])}) for row in rows]


class Watch:
    """Looks at each full minute once, keeps alerts in their file, tells webhooks, and stops agents where a project asked for that."""

    def __init__(
        self,
        session: Session,
        log: Log,
        alerts_path: Path,
        client: httpx.Client,
        *,
        clock: Callable[[], int],
        open_plane: Callable[[], ControlPlane],
    ) -> None:
        self._session, self._path, self._client, self._clock, self._open_plane = session, alerts_path, client, clock, open_plane
        self._follower = ControlFollower(log)
        self._lines = lines_of(alerts_path)
        still_open = [line for line in _newest(self._lines) if line.state != "resolved"]
        self._open = {alert.project_id: alert for alert in still_open if alert.rule == "denial_jump"}
        self._open_critical: dict[Subject, Alert] = {
            (alert.rule, alert.project_id): alert for alert in still_open if alert.rule != "denial_jump"
        }
        self._handled: frozenset[Critical] = frozenset()
        self._problem: str | None = None
        last = max((line.changed_at for line in _newest(self._lines)), default=0)
        self._minute = max(last, self._full_minute() - MISSED_MINUTES_MAX * MINUTE_US)

    def look(self) -> WatchHeartbeat:
        """Look at what is new since the last look. Raises `Unavailable` where log, ledger or disk do not take part."""
        while self._minute < self._full_minute():
            self._session.refresh()
            minute = self._minute + MINUTE_US
            open_alerts, jumps = advance(self._open, readings_at(self._session, minute), at=minute)
            recent = critical_between(self._session, minute - critical.WINDOW_MINUTES * MINUTE_US, minute)
            open_critical, changed = critical.advance(self._open_critical, recent, at=minute)
            self._keep([*jumps, *changed])
            self._open, self._open_critical, self._minute = open_alerts, open_critical, minute
            for alert in (*jumps, *changed):
                _logger.info("An alert changed.", project=alert.project_id, state=alert.state, why=alert.message)
        problem = self._stop_agents()
        self._tell()
        firing = sum(alert.state == "firing" for alert in (*self._open.values(), *self._open_critical.values()))
        return WatchHeartbeat(pid=os.getpid(), at=self._clock(), minute=self._minute, firing=firing, last_error=problem)

    def _stop_agents(self) -> str | None:
        """Throw the orders that projects asked for; return what is wrong, without which alerts go on all the same."""
        self._follower.poll()
        asking = {name for name, project in self._follower.state.projects.items() if project.on_enforcement_gap == "stop_agent"}
        if not asking:
            return None
        self._session.refresh()
        now = self._clock()
        found = critical.to_stop(critical_between(self._session, now - critical.STOPPED_WITHIN_US, now + 1), asking)
        fresh = [gap for gap in found if gap not in self._handled]
        problem = self._stop(fresh) if fresh else None
        if problem is None:
            self._handled = frozenset(found)
        return problem

    def _stop(self, fresh: Iterable[Critical]) -> str | None:
        problem: str | None = None
        try:
            with self._open_plane() as plane:
                for gap in fresh:
                    try:
                        if critical.stop(plane, gap):
                            _logger.warning("An agent is stopped.", project=gap.project_id, agent=gap.agent_id, finding=gap.finding_id)
                    except Rejected as refused:  # too many orders, or a name nobody can be stopped by
                        problem = str(refused)
        except Unavailable as error:
            problem = str(error)
        if problem is not None and problem != self._problem:
            _logger.error("An agent with an enforcement gap is not stopped; it is tried again.", why=problem)
        self._problem = problem
        return problem

    def _tell(self) -> None:
        untold = due(self._lines, at=self._clock())
        if not untold:
            return
        self._follower.poll()
        webhooks = {name: project.webhook_url for name, project in self._follower.state.projects.items() if project.webhook_url}
        self._keep(deliver(untold, webhooks, self._client, clock=self._clock))

    def _keep(self, lines: Iterable[Line]) -> None:
        kept = list(lines)
        try:
            append(self._path, kept)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror or error}; alerts are kept there, and looked for again") from error
        self._lines = (self._lines + kept)[-LINES_KEPT:]

    def _full_minute(self) -> int:
        return (self._clock() - SETTLE_US) // MINUTE_US * MINUTE_US


def _newest(lines: Iterable[Line]) -> list[Alert]:
    return list({line.alert_id: line for line in lines if isinstance(line, Alert)}.values())


@contextmanager
def leased(path: Path, *, ending: Ending) -> Iterator[bool]:
    """Hold the lease, a lock that ends with the process; wait for it until the end is asked for, and say whether it was had."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        had = False
        while not had and not ending.is_asked:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                had = True
            except BlockingIOError:
                ending.wait(LEASE_POLL_S)
        yield had
    finally:
        os.close(handle)


def main() -> int:
    """Watch until SIGTERM or SIGINT; return the exit code."""
    log_lines.configure()
    settings, ending = Settings(), asked_by_signals()
    settings.run_path.mkdir(parents=True, exist_ok=True)
    with leased(settings.run_path / "watch.lock", ending=ending) as had:
        if had:
            _watch(settings, ending)
    return 0


def _watch(settings: Settings, ending: Ending) -> None:
    watch: Watch | None = None
    while not ending.is_asked:
        try:
            watch = watch or _opened(settings)
            heartbeat = watch.look()
        except Unavailable as error:
            _logger.warning("Waiting: minutes are looked at later.", why=str(error))
            heartbeat = WatchHeartbeat(pid=os.getpid(), at=now_us(), minute=0, firing=0, last_error=str(error))
        except ControlZeroError as error:
            _logger.error("The watch cannot go on.", why=str(error))
            raise
        write_if_possible(settings.run_path / "watch.json", heartbeat)
        ending.wait(settings.watch_tick_s)


def _opened(settings: Settings) -> Watch:
    log = open_log(settings.log_path)
    session = Warehouse.open(settings.ledger_path, threads=1, memory_mb=512).session(None)
    return Watch(session, log, settings.alerts_path, webhook_client(), clock=now_us, open_plane=lambda: ControlPlane(settings.home, log))
