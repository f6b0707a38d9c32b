"""What passes from step to step: messages opened, their lines placed, and what was noticed on the way."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from controlzero.records import Decision, Loss, Outcome, Record
from warehouse.kinds import Finding, Quarantined, Tally

# The decisions of a batch by field, each field as long as the rows and in their order: what a step changes it returns anew.
Columns: TypeAlias = Mapping[str, Sequence[Any]]


class Place(Struct, frozen=True, kw_only=True):
    """What a message says of all of its lines: whose they are, which numbers, and where the log holds them."""

    project_id: str
    producer_id: str
    first_seq: int
    count: int
    total: int
    received_at: int
    log_id: str
    log_partition: int
    log_offset: int
    closed: bool = False
    backfill: bool = False


class Unreadable(Struct, frozen=True, kw_only=True):
    """A line that is no record, with the reason and its bytes."""

    code: str
    path: str
    reason: str
    bytes: bytes


class Opened(Struct, frozen=True, kw_only=True):
    """A message decoded: line i is number `place.first_seq + i`.

    A message that cannot be opened at all has `unreadable` and no lines: every number of it is then in quarantine.
    """

    place: Place
    lines: Sequence[Record | Unreadable] = ()
    unreadable: Unreadable | None = None


class Row(Struct, frozen=True):
    """A decision that lands, at its place."""

    decision: Decision
    seq: int
    place: Place


class OutcomeRow(Struct, frozen=True):
    """An outcome that lands, at its place."""

    outcome: Outcome
    seq: int
    place: Place


class LossRow(Struct, frozen=True):
    """A producer's word that it could not keep something, at its place."""

    loss: Loss
    seq: int
    place: Place


class Sequenced(Struct, frozen=True, kw_only=True):
    """What `sequence` lets through, and what it kept back: one tally for each message."""

    rows: list[Row]
    outcomes: list[OutcomeRow]
    losses: list[LossRow]
    quarantined: list[Quarantined]
    findings: list[Finding]
    tallies: list[Tally]


class Inspected(Struct, frozen=True, kw_only=True):
    """What `inspect` returns for rows: their decisions redacted, the types found in each, and the findings.

    `finding_types` is as long as the rows and in their order; `masked` are the places of those in which something was masked.
    """

    decisions: Columns
    masked: Collection[int]
    finding_types: list[tuple[str, ...]]
    findings: list[Finding]


class ProjectKeys(Protocol):
    """The HMAC key of each project."""

    def __call__(self, project_id: str) -> bytes:
        """Return the project's key."""
        ...
