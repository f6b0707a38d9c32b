"""Send recorded traces through the gateway as an SDK would, and wait until all of it has landed."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import zstandard

from controlzero.errors import Rejected, Unavailable
from cz import traces
from warehouse.snapshot import Session

BATCH_LINES = 500
TRY_AGAIN_S = (0.1, 0.3, 1.0, 3.0, 10.0)
QUIET_S_MAX = 60.0  # nothing landed for this long: the workers are stuck, and waiting longer tells nobody
POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file on its way in: the producers its decisions and its outcomes are numbered under."""

    path: Path
    producer: str
    count: int

    @property
    def outcomes_producer(self) -> str:
        """Outcomes are numbered apart, so that the tally of `producer` is in decisions alone."""
        return f"{self.producer}-outcomes"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The counts of the log messages of some producers: received = landed + duplicate + quarantined."""

    received: int = 0
    landed: int = 0
    duplicate: int = 0
    quarantined: int = 0

    def since(self, before: "Tally") -> "Tally":
        """Return what came after `before`."""
        return Tally(
            received=self.received - before.received,
            landed=self.landed - before.landed,
            duplicate=self.duplicate - before.duplicate,
            quarantined=self.quarantined - before.quarantined,
        )


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an import did, in decisions."""

    project: str
    policy_digest: str | None
    tally: Tally
    verdicts: Mapping[str, int]
    rule_hits: Mapping[str, int]
    not_replayable: int
    quarantine_reasons: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "project": self.project,
            "policy_digest": self.policy_digest,
            "received": self.tally.received,
            "landed": self.tally.landed,
            "duplicate": self.tally.duplicate,
            "quarantined": self.tally.quarantined,
            "verdicts": dict(self.verdicts),
            "rule_hits": dict(self.rule_hits),
            "not_replayable": self.not_replayable,
        }


def sources(files: Sequence[Path], project_id: str) -> list[Source]:
    """Return the files as sources; raises `Rejected` for one that cannot be read."""
    found = []
    for path in files:
        try:
            digest, count = traces.content_digest(path, project_id)
        except (OSError, EOFError) as unread:
            raise Rejected(f"{path}: cannot be read ({unread}); expected JSON lines, plain or gzip") from unread
        found.append(Source(path=path, producer=f"import-{digest}", count=count))
    return found


def send(
    source: Source,
    client: httpx.Client,
    *,
    period: traces.Period,
    keep_labels: bool,
    on_sent: Callable[[int], None],
) -> int:
    """Send one file; return the number of outcomes sent with it."""
    lines = traces.read(source.path, name=source.producer, period=period, keep_labels=keep_labels)
    sent = sent_outcomes = 0
    for batch in _batches(lines, BATCH_LINES):
        outcomes = [line.outcome for line in batch if line.outcome is not None]
        last = sent + len(batch) == source.count
        _post(client, source.producer, [line.decision for line in batch], first=sent, closed=last)
        if outcomes:
            _post(client, source.outcomes_producer, outcomes, first=sent_outcomes, closed=last)
        sent += len(batch)
        sent_outcomes += len(outcomes)
        on_sent(len(batch))
    return sent_outcomes


def tally(session: Session, producers: Sequence[str]) -> Tally:
    """Return the counts of some producers as they stand in the ledger."""
    session.refresh()
    row = session.query("tally_of_producers", producers=list(producers)).to_pylist()[0]
    return Tally(**{name: int(row[name] or 0) for name in ("received", "landed", "duplicate", "quarantined")})


def wait_until_landed(
    session: Session, producers: Sequence[str], *, expected: int, before: Tally, on_landed: Callable[[int], None]
) -> Tally:
    """Poll the ledger until `expected` more records of the producers are accounted for.

    Raises `Unavailable` where nothing has moved for a minute.
    """
    seen, moved_at = 0, time.monotonic()
    while True:
        now = tally(session, producers).since(before)
        if now.received != seen:
            on_landed(now.received - seen)
            seen, moved_at = now.received, time.monotonic()
        if seen >= expected:
            return now
        if time.monotonic() - moved_at > QUIET_S_MAX:
            raise Unavailable(
                f"{expected - seen:,} of {expected:,} records are accepted but have not landed for {QUIET_S_MAX:g} s; `cz doctor` says what is wrong"
            )
        time.sleep(POLL_S)


def report(session: Session, producers: Sequence[str], *, project: str, policy_digest: str | None, counts: Tally) -> Report:
    """Count the workers' verdicts over the decisions of these producers."""
    rows = session.query("judged_of_producers", producers=list(producers)).to_pylist()
    verdicts: dict[str, int] = {}
    hits: dict[str, int] = {}
    for row in rows:
        verdict, rule = str(row["verdict"]), str(row["rule"])
        verdicts[verdict] = verdicts.get(verdict, 0) + int(row["decisions"])
        hits[rule] = hits.get(rule, 0) + int(row["decisions"])
    not_replayable = verdicts.pop("not_replayable", 0)
    hits.pop("not_replayable", None)
    return Report(
        project=project,
        policy_digest=policy_digest,
        tally=counts,
        verdicts=verdicts,
        rule_hits=dict(sorted(hits.items(), key=lambda hit: (not hit[0].isdigit(), int(hit[0]) if hit[0].isdigit() else 0, hit[0]))),
        not_replayable=not_replayable,
        quarantine_reasons={
            row["reason"]: int(row["lines"]) for row in session.query("quarantined_of_producers", producers=list(producers)).to_pylist()
        },
    )


def _post(client: httpx.Client, producer: str, lines: Sequence[bytes], *, first: int, closed: bool) -> None:
    headers = {
        "CZ-Producer": producer,
        "CZ-First-Seq": str(first),
        "CZ-Total": str(first + len(lines)),
        "CZ-Backfill": "1",
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "zstd",
    }
    if closed:
        headers["CZ-Closed"] = "1"
    body = zstandard.compress(b"\n".join(lines) + b"\n")
    for wait_s in (*TRY_AGAIN_S, None):
        try:
            answer = client.post("/v1/decisions", content=body, headers=headers)
        except httpx.TransportError as broken:
            problem = f"the gateway at {client.base_url} does not answer ({broken})"
        else:
            if answer.status_code == 202:
                return
            problem = f"the gateway answered {answer.status_code}: {answer.text[:500]}"
            if answer.status_code not in (401, 429, 503):
                raise Rejected(problem)
        if wait_s is None:
            raise Unavailable(problem)
        time.sleep(wait_s)


def _batches(lines: Iterable[traces.Line], size: int) -> Iterator[list[traces.Line]]:
    lines = iter(lines)
    while batch := list(islice(lines, size)):
        yield batch
