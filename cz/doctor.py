"""Is everything accounted for, and is the machine fit? Checks that end in a next step, and tallies that prove."""

import importlib.metadata
import platform
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controlzero.errors import ControlZeroError, Rejected, Unavailable
from controlzero.records import BundleState
from controlzero.version import __version__
from cz.home import Home, running
from processors.steps.decode import BATCH_HEADERS
from processors.steps.foreign import foreign
from topics.batches import decode_batch
from topics.declarations import DECISIONS
from topics.log import Log, Message
from topics.opening import is_on_kafka, log_members, log_worth, missing_topics, open_log
from topics.sqlite import SqliteLog
from warehouse.delta_log import DeltaLog, identity_of, is_made
from warehouse.lander import app_id
from warehouse.opening import open_store
from warehouse.snapshot import Session, Warehouse

FREE_BYTES_MIN = 1 << 30  # a day of a busy project, and room for a compaction
SKEW_S_MAX = 5.0
EPOCH_MIN = datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1e6  # a machine that believes it is earlier has lost its clock
READ_BYTES = 4 << 20
DAY = timedelta(days=1)
BUNDLE_STATES: dict[BundleState, str] = {
    "unconfirmed": "without an answer of their server, by the last bundle they had",
    "expired": "by a bundle past its age",
    "rollback_refused": "were offered an older bundle and refused it",
    "tampering_refused": "were offered a bundle changed after signing and refused it",
    "signature_refused": "were offered a bundle that no key they believe signed for their project, and refused it",
}
FAILURES = (ControlZeroError, OSError, sqlite3.Error)
PACKAGES = ("duckdb", "deltalake", "pyarrow", "streamlit")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at: what was found, and what to do where it is not well."""

    name: str
    ok: bool
    found: str
    next_step: str | None = None


@dataclass(frozen=True, kw_only=True)
class Account:
    """A producer's or a project's counts, in records."""

    received: int = 0
    landed: int = 0
    duplicate: int = 0
    quarantined: int = 0
    in_flight: int = 0
    gaps: int = 0
    missing: int = 0
    lost: int = 0
    balanced: bool = True
    end: str | None = None  # of a producer: closed, or open-ended with its tail unproven

    @property
    def equation(self) -> str:
        """The sum that the counts of what has landed must be, for people."""
        return f"{self.received:,} received = {self.landed:,} landed + {self.duplicate:,} duplicate + {self.quarantined:,} quarantined"

    def plus(self, other: "Account") -> "Account":
        """Return both accounts as one."""
        return Account(
            received=self.received + other.received,
            landed=self.landed + other.landed,
            duplicate=self.duplicate + other.duplicate,
            quarantined=self.quarantined + other.quarantined,
            in_flight=self.in_flight + other.in_flight,
            gaps=self.gaps + other.gaps,
            missing=self.missing + other.missing,
            lost=self.lost + other.lost,
            balanced=self.balanced and other.balanced,
        )


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the doctor found."""

    checks: Sequence[Check]
    projects: dict[str, Account] = field(default_factory=dict)
    producers: dict[str, dict[str, Account]] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing needs a person."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "healthy": self.healthy,
            "checks": [{"name": check.name, "ok": check.ok, "found": check.found, "next_step": check.next_step} for check in self.checks],
            "projects": {
                project: {
                    **_counts(account),
                    "producers": {name: {**_counts(of), "end": of.end} for name, of in self.producers[project].items()},
                }
                for project, account in self.projects.items()
            },
        }


def examine(home: Home, *, now: int) -> Examination:
    """Look at the product over `home`; `now` is microseconds since 1970 UTC. Nothing is changed."""
    checks = [_versions(), _disk(home)]
    if not home.path.exists():
        checks.append(
            Check(
                name="data",
                ok=False,
                found=f"{home.path} does not exist",
                next_step="run `cz up` there, or name the data folder with --home",
            )
        )
        return Examination(checks=checks)
    try:
        session = Warehouse.open(home.ledger).session(None)
        checks.append(_clock(session, now=now))
        of_log, in_flight = _log_side(home)
        checks += of_log
        producers = _accounts(session, in_flight or ())
        projects = {project: _sum(of.values()) for project, of in producers.items()}
        checks += [
            _tally(projects, producers, is_all=in_flight is not None),
            *_left_behind(home),
            *_holes(session),
            _rows(session, home),
            _bundles(session, now=now),
        ]
    except FAILURES as failed:
        return Examination(checks=[*checks, _failed("data", failed, home)])
    return Examination(checks=checks, projects=projects, producers=producers)


def _failed(name: str, failed: Exception, home: Home) -> Check:
    next_step = (
        f"see to that, then ask again; the logs in {home.run} say since when"
        if isinstance(failed, Unavailable)
        else f"see the logs in {home.run}; restore {home.path} from a copy if a file is damaged"
    )
    return Check(name=name, ok=False, found=str(failed), next_step=next_step)


def _versions() -> Check:
    found = [f"controlzero-audit {__version__}", f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return Check(name="versions", ok=True, found=", ".join(found))


def _disk(home: Home) -> Check:
    folders = [home.path, home.ledger] if isinstance(home.ledger, Path) else [home.path]
    there = [next(path for path in (folder, *folder.absolute().parents) if path.exists()) for folder in folders]
    where = min(there, key=lambda path: shutil.disk_usage(path).free)  # the first of those on one disk
    free = shutil.disk_usage(where).free
    return Check(
        name="disk",
        ok=free >= FREE_BYTES_MIN,
        found=f"{free / 2**30:.1f} GiB free at {where}",
        next_step=None
        if free >= FREE_BYTES_MIN
        else "free at least 1 GiB: below that the gateway soon answers 503 and agents keep their records",
    )


def _clock(session: Session, *, now: int) -> Check:
    newest = session.query("newest_received").to_pylist()[0]["received_at"]
    behind_s = 0.0 if newest is None else newest.timestamp() - now / 1e6
    ok = now >= EPOCH_MIN and behind_s <= SKEW_S_MAX
    return Check(
        name="clock",
        ok=ok,
        found=f"{datetime.fromtimestamp(now / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
        + ("" if ok else f", {behind_s:.0f} s behind the newest record"),
        next_step=None if ok else "set the machine's clock (is NTP running?): received times decide retention and alerts",
    )


def _log_away() -> Check | None:
    if not is_on_kafka():
        return None
    try:
        missing = missing_topics()
    except Unavailable as away:
        next_step = "start the brokers, or mend the KAFKA_ settings; until then agents keep their records and workers wait"
        return Check(name="log", ok=False, found=str(away), next_step=next_step)
    if missing:
        next_step = "make what is missing: cz topics create; until then agents keep their records and workers wait"
        return Check(name="log", ok=False, found=f"Kafka has no topic {', '.join(missing)}", next_step=next_step)
    return None


def _log_side(home: Home) -> tuple[list[Check], list[tuple[str, str, int]] | None]:
    """Look at the log; return what was found, and what is in flight: None where that cannot be read. The ledger can."""
    if (away := _log_away()) is not None:
        return [away], None
    try:
        with closing(open_log(home.log)) as log:
            return [_log(log, home), *_offsets(log, home)], list(_in_flight(log, home))
    except FAILURES as failed:
        return [_failed("log", failed, home)], None


def _log(log: Log, home: Home) -> Check:
    up = running(home)
    state = f"the product runs (process {up.pid}, {up.api_url})" if up else "no `cz up` runs over it"
    held = sum(
        bounds.end - bounds.start for bounds in (log.bounds(DECISIONS.name, number) for number in range(log.partitions(DECISIONS.name)))
    )
    return Check(name="log", ok=True, found=f"{held:,} messages held, {log_worth(home.log)}; {state}")


def _offsets(log: Log, home: Home) -> Iterator[Check]:
    landed = _landed(log, home)
    waiting = 0
    for partition, offset in landed.items():
        bounds = log.bounds(DECISIONS.name, partition)
        if offset is not None and offset > bounds.end:
            yield Check(
                name="landed offsets",
                ok=False,
                found=f"partition {partition}: the ledger has landed up to {offset}, the log ends at {bounds.end}",
                next_step=f"the log at {home.log} is older than the ledger: put the newer log back; workers stop until then rather than skip messages",
            )
            return
        waiting += bounds.end - max(bounds.start, offset or 0)
    if not waiting:
        yield Check(name="landed offsets", ok=True, found="everything accepted is landed")
        return
    workers = _workers(home)
    yield Check(
        name="landed offsets",
        ok=workers > 0,
        found=f"{waiting:,} messages accepted and not landed yet" + (f"; {workers} at work on them" if workers else "; no worker runs"),
        next_step=None if workers else _start_a_worker(),
    )


def _workers(home: Home) -> int:
    """Return how many workers land what waits: on Kafka those of the ledger's group, on whatever machine they run."""
    if not is_on_kafka():
        return int(running(home) is not None)
    store = open_store(home.ledger)
    return log_members(f"controlzero-{identity_of(store)}") if is_made(store) else 0


def _start_a_worker() -> str:
    by_itself = "faust -A processors.faust_app worker -l info" if is_on_kafka() else "cz up"
    return f"start one, it lands them: {by_itself}"


def _accounts(session: Session, in_flight: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, Account]]:
    producers: dict[str, dict[str, Account]] = {}
    for row in session.query("producers_tally").to_pylist():
        missing = int(row["missing"]) + int(row["missing_at_end"] or 0)
        producers.setdefault(row["project_id"], {})[row["producer_id"]] = Account(
            received=row["received"],
            landed=row["landed"],
            duplicate=row["duplicate"],
            quarantined=row["quarantined"],
            gaps=int(row["gaps"]) + (1 if row["missing_at_end"] else 0),
            missing=missing,
            lost=row["lost"],
            balanced=bool(row["balanced"]),
            end="closed" if row["closed"] else "open-ended: its tail is unproven",
        )
    for project, producer, count in in_flight:
        of = producers.setdefault(project, {})
        of[producer] = of.get(producer, Account(end="open-ended: its tail is unproven")).plus(Account(received=count, in_flight=count))
    return producers


def _in_flight(log: Log, home: Home) -> Iterator[tuple[str, str, int]]:
    """Yield (project, producer, records) of each message that is in the log and not in the ledger."""
    for partition, offset in _landed(log, home).items():
        bounds = log.bounds(DECISIONS.name, partition)
        at = max(bounds.start, offset or 0)
        while at < bounds.end:
            messages = log.read(DECISIONS.name, partition, at, bytes_max=READ_BYTES)
            if not messages:
                return
            yield from map(_held, messages)
            at = messages[-1].offset + 1


def _held(message: Message) -> tuple[str, str, int]:
    """Return (project, producer, records) of a message; one that is nobody's counts as one, as it does when it lands."""
    try:
        if BATCH_HEADERS.isdisjoint(message.headers):
            record = foreign(message)
            return record.project_id, record.producer_id, 1
        batch = decode_batch(message)
    except Rejected:
        return "", "", 1
    return batch.project_id, batch.producer_id, batch.count


def _landed(log: Log, home: Home) -> dict[int, int | None]:
    ids = {partition: app_id(log.log_id, log.topic_id(DECISIONS.name), partition) for partition in range(log.partitions(DECISIONS.name))}
    store = open_store(home.ledger)
    ledger = DeltaLog(store) if is_made(store) else None
    return {partition: ledger.transaction_version(name) if ledger else None for partition, name in ids.items()}


def _tally(projects: dict[str, Account], producers: dict[str, dict[str, Account]], *, is_all: bool) -> Check:
    whole = _sum(projects.values())
    wrong = [name for name, account in projects.items() if not account.balanced]
    gaps = [
        f"{producer} of {project} ({of.missing:,} records)" for project, own in producers.items() for producer, of in own.items() if of.gaps
    ]
    if wrong:
        return Check(
            name="tally",
            ok=False,
            found=f"the counts of {', '.join(wrong)} do not balance",
            next_step="keep the data folder as it is and report this: it is a defect",
        )
    if gaps:
        return Check(
            name="tally",
            ok=False,
            found=f"records are missing from {len(gaps)} producers: {'; '.join(gaps[:3])}{' …' if len(gaps) > 3 else ''}",
            next_step="an agent's spool may still hold them: start an agent with the same destination, it sends what others left behind",
        )
    return Check(
        name="tally",
        ok=True,
        found=whole.equation + (f" + {whole.in_flight:,} in flight" if is_all else "; what is in flight cannot be read"),
    )


def _left_behind(home: Home) -> Iterator[Check]:
    """Yield what an embedded log still holds though the log is on Kafka now."""
    if not is_on_kafka() or not home.log.exists():
        return
    with closing(SqliteLog(home.log)) as embedded:
        waiting = sum(count for _, _, count in _in_flight(embedded, home))
    if waiting:
        yield Check(
            name="embedded log",
            ok=False,
            found=f"{waiting:,} records wait in {home.log}, from before the log was on Kafka",
            next_step="stop what runs over the data folder, then: cz topics create; it lands them",
        )


def _holes(session: Session) -> Iterator[Check]:
    holes = session.query("log_holes").to_pylist()
    if holes:
        lost = sum(hole["last_seq"] - hole["first_seq"] + 1 for hole in holes)
        yield Check(
            name="log holes",
            ok=False,
            found=f"{lost:,} messages were gone before they landed; the newest: {holes[0]['message']}",
            next_step="give the topic a longer retention than workers are ever away; whose they were shows in the gaps of producers",
        )


def _rows(session: Session, home: Home) -> Check:
    differing = [row for row in session.query("decisions_landed").to_pylist() if row["held"] != row["told"]]
    if not differing:
        return Check(name="ledger", ok=True, found=f"{open_store(home.ledger).name} holds as many decisions as its tallies say it landed")
    first = differing[0]
    return Check(
        name="ledger",
        ok=False,
        found=f"{first['project_id']}: {first['held']:,} decisions held, {first['told']:,} told by the tallies",
        next_step="files of the ledger were changed from outside: restore them from a copy",
    )


def _bundles(session: Session, *, now: int) -> Check:
    """Tell how things stood with the bundles that agents judged by, in the day before."""
    until = datetime.fromtimestamp(now / 1e6, UTC)
    said = {row["detail"]: row["agents"] for row in session.query("findings_by_type", from_at=until - DAY, until_at=until).to_pylist()}
    told = [f"{said[f'bundle_{state}']} {words}" for state, words in BUNDLE_STATES.items() if f"bundle_{state}" in said]
    refused = [state for state in BUNDLE_STATES if state.endswith("_refused") and f"bundle_{state}" in said]
    return Check(
        name="bundles",
        ok=not refused,
        found="agents in the last day: " + "; ".join(told) if told else "no agent of the last day judged by one that was not confirmed",
        next_step="find out what serves such bundles: `cz decisions` with `--finding bundle_" + f"{refused[0]}` lists the calls meanwhile"
        if refused
        else None,
    )


def _sum(accounts: Any) -> Account:
    whole = Account()
    for account in accounts:
        whole = whole.plus(account)
    return whole


def _counts(account: Account) -> dict[str, Any]:
    return {
        "balanced": account.balanced,
        "received": account.received,
        "landed": account.landed,
        "duplicate": account.duplicate,
        "quarantined": account.quarantined,
        "in_flight": account.in_flight,
        "gaps": account.gaps,
        "missing": account.missing,
        "lost": account.lost,
    }
