"""Findings, made so that the same log gives the same ones: their ids come from the place of what they are about."""

from hashlib import blake2b
from typing import Literal

from msgspec.structs import replace

from controlzero.records import Decision
from processors.flow import Columns, Place, Row
from warehouse.kinds import Finding, FindingType

Severity = Literal["info", "warning", "critical"]
NAMES = ("agent_id", "action")  # what a finding takes over from its decision that an agent can write anything into


def stable_id(place: Place, seq: int | None, *what: str) -> str:
    """Return a UUID (version 8, RFC 9562) that follows from the place in the log and from what is said there."""
    said = "\x00".join((place.log_id, str(place.log_partition), str(place.log_offset), str(seq), *what))
    digest = bytearray(blake2b(said.encode(errors="surrogatepass"), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def of_decision(
    row: Row,
    *,
    type: FindingType,  # noqa: A002 - the column's name
    detail: str,
    severity: Severity,
    message: str,
    path: str | None = None,
    count: int = 1,
    fingerprint: str | None = None,
) -> Finding:
    """Return a finding about one decision. Its id follows from the row's place, `type`, `detail`, `path` and `fingerprint`."""
    decision: Decision = row.decision
    return Finding(
        finding_id=stable_id(row.place, row.seq, type, detail, path or "", fingerprint or ""),
        project_id=row.place.project_id,
        received_at=row.place.received_at,
        occurred_at=decision.occurred_at,
        type=type,
        detail=detail,
        severity=severity,
        decision_id=decision.decision_id,
        producer_id=row.place.producer_id,
        agent_id=decision.agent_id,
        action=decision.action,
        path=path,
        count=count,
        fingerprint=fingerprint,
        message=message,
        backfill=row.place.backfill,
        log_partition=row.place.log_partition,
        log_offset=row.place.log_offset,
    )


def as_landed(found: list[Finding], came: Columns, decisions: Columns) -> list[Finding]:
    """Return findings about decisions with the names that land: one that held personal data is masked in them too."""
    if all(decisions[name] is came[name] for name in NAMES):
        return found
    names_of: dict[str, dict[str, str]] = {}
    for name in NAMES:
        for decision_id, before, after in zip(came["decision_id"], came[name], decisions[name], strict=True):
            if before is not after:
                names_of.setdefault(decision_id, {})[name] = after
    return [replace(one, **names_of[one.decision_id]) if one.decision_id in names_of else one for one in found]


def of_range(
    place: Place,
    *,
    type: FindingType,  # noqa: A002
    detail: str,
    severity: Severity,
    message: str,
    first_seq: int,
    last_seq: int,
    occurred_at: int,
    since_at: int | None = None,
    count: int,
) -> Finding:
    """Return a finding about a range of a producer's numbers, both ends included."""
    return Finding(
        finding_id=stable_id(place, first_seq, type, detail),
        project_id=place.project_id,
        received_at=place.received_at,
        occurred_at=occurred_at,
        type=type,
        detail=detail,
        severity=severity,
        producer_id=place.producer_id or None,
        count=count,
        message=message,
        first_seq=first_seq,
        last_seq=last_seq,
        since_at=since_at,
        backfill=place.backfill,
        log_partition=place.log_partition,
        log_offset=place.log_offset,
    )
