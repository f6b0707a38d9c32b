"""Doubles for tests of the ledger: landings whose every row can be foretold from its message."""

import uuid
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pyarrow as pa

from controlzero.records import Outcome, Redaction
from controlzero.testing import STARTED_AT, a_decision
from warehouse.columns import columns_of, decisions_table, rows_table, table_of
from warehouse.kinds import Finding, Kind, Quarantined, Tally
from warehouse.lander import Landing, app_id

DECISIONS = 3  # of each message
QUARANTINED_EVERY = 5  # messages
MAC = "0" * 32
MASKED = (Redaction(path="args.to", type="email", fingerprint=MAC), Redaction(path="text", type="iban", count=2))


def ids(start: int = 0) -> Callable[[], str]:
    """Return a `new_id` that counts."""
    numbers = count(start)
    return lambda: f"{next(numbers):032x}"


def an_app_id(partition: int = 0) -> str:
    """Return the app id that landings of a partition have here."""
    return app_id("log", "topic", partition)


def decision_id(partition: int, offset: int, line: int) -> str:
    """Return the id of the decision in a line of a message."""
    return str(uuid.UUID(int=(partition << 96) | (7 << 76) | (1 << 63) | (offset << 16) | line))


def a_landing(offsets: range, *, partition: int = 0, project: str = "default", at: int = STARTED_AT, **changes: Any) -> Landing:
    """Return what messages caused: three decisions each, an outcome, a finding, a tally, and in every fifth a quarantined line.

    Message n is received n seconds after `at`; `changes` are made to every decision.
    """
    places = [(offset, line) for offset in offsets for line in range(DECISIONS)]
    decisions = [
        a_decision(
            **(
                {"decision_id": decision_id(partition, offset, line), "occurred_at": _at(at, offset) - line, "redactions": MASKED[:line]}
                | changes
            )
        )
        for offset, line in places
    ]
    outcomes = [
        Outcome(decision_id=decision_id(partition, offset, 0), occurred_at=_at(at, offset), carried_out=True, status="ok")
        for offset in offsets
    ]
    judged = {"judged_verdict": pa.scalar("allow"), "finding_types": [("email",) if line == 0 else () for _, line in places]}
    tables: dict[Kind, pa.Table] = {
        "decision": decisions_table(decisions, placed=_placed(places, partition, project, at), judged=judged),
        "outcome": table_of(
            "outcome", {**_placed([(offset, DECISIONS) for offset in offsets], partition, project, at), **columns_of(Outcome, outcomes)}
        ),
        "finding": rows_table("finding", [_finding(offset, partition, project, at) for offset in offsets]),
        "tally": rows_table("tally", [_tally(offset, partition, project, at) for offset in offsets]),
    }
    if spoilt := [offset for offset in offsets if offset % QUARANTINED_EVERY == 0]:
        tables["quarantine"] = rows_table("quarantine", [_quarantined(offset, partition, project, at) for offset in spoilt])
    return Landing(tables=tables, offsets={an_app_id(partition): (offsets.start, offsets.stop)})


def nothing_from(offset: int, *, partition: int = 0) -> Landing:
    """Return the landing of a message that caused nothing."""
    return Landing(tables={}, offsets={an_app_id(partition): (offset, offset + 1)})


def together(landings: Iterable[Landing]) -> Landing:
    """Return the landing of several partitions at once."""
    landings = list(landings)
    kinds = {kind for landing in landings for kind in landing.tables}
    tables = {kind: pa.concat_tables([landing.tables[kind] for landing in landings if kind in landing.tables]) for kind in kinds}
    return Landing(tables=tables, offsets={name: range_ for landing in landings for name, range_ in landing.offsets.items()})


def _at(at: int, offset: int) -> int:
    return at + offset * 1_000_000


def _placed(places: list[tuple[int, int]], partition: int, project: str, at: int) -> dict[str, Any]:
    return {
        "project_id": pa.scalar(project),
        "producer_id": pa.scalar(f"producer-{partition}"),
        "seq": [offset * (DECISIONS + 1) + line for offset, line in places],
        "received_at": [_at(at, offset) for offset, _ in places],
        "log_partition": pa.scalar(partition),
        "log_offset": [offset for offset, _ in places],
        "backfill": [False] * len(places),
    }


def _finding(offset: int, partition: int, project: str, at: int) -> Finding:
    return Finding(
        finding_id=decision_id(partition, offset, 1 << 15), project_id=project, received_at=_at(at, offset), occurred_at=_at(at, offset),
        type="pii", detail="email", severity="warning", decision_id=decision_id(partition, offset, 0),
        log_partition=partition, log_offset=offset,
    )  # fmt: skip


def _quarantined(offset: int, partition: int, project: str, at: int) -> Quarantined:
    return Quarantined(
        quarantine_id=decision_id(partition, offset, 1 << 14), project_id=project, received_at=_at(at, offset),
        producer_id=f"producer-{partition}", seq=None, log_partition=partition, log_offset=offset, stage="decode",
        code="malformed", path="$", reason="no JSON", length=3, sha256="0" * 64, bytes=b"bad",
    )  # fmt: skip


def _tally(offset: int, partition: int, project: str, at: int) -> Tally:
    quarantined = int(offset % QUARANTINED_EVERY == 0)
    return Tally(
        project_id=project, producer_id=f"producer-{partition}", received_at=_at(at, offset), log_id="log",
        log_partition=partition, log_offset=offset, first_seq=offset * (DECISIONS + 1), count=DECISIONS + 1 + quarantined,
        received=DECISIONS + 1 + quarantined, landed=DECISIONS + 1, duplicate=0, quarantined=quarantined,
        decisions=DECISIONS, outcomes=1, losses=0, lost=0, total=(offset + 1) * (DECISIONS + 1), closed=False, backfill=False,
        ids_digest=MAC, occurred_min_at=_at(at, offset), occurred_max_at=_at(at, offset),
    )  # fmt: skip
