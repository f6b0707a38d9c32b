"""The kinds of row in the ledger, as types; `schema.py` derives their Arrow and Delta schemas.

A landed decision or outcome is the record of `controlzero.records` with what the batch says of it
(`Placed`) and what the workers add. Every kind carries `project_id` and `received_at`: tenants are apart
and time is ours.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from controlzero.records import ABSENT, Count, Decision, Digest, Json, Label, Mac, Micros, Mode, Name, Outcome, ReasonCode, Text, Uuid

Kind = Literal["decision", "outcome", "finding", "quarantine", "tally", "rollup"]
FindingType = Literal[
    "pii", "secret", "drift", "enforcement_gap", "denial_unread", "sequence_gap", "sequence_conflict", "clock_skew", "loss"
]
Severity = Literal["info", "warning", "critical"]
Grain = Literal["minute", "detail", "hour"]


class Placed(Struct, frozen=True, kw_only=True):
    """What a row owes to its batch: whose it is, its number there, and where the log holds it."""

    project_id: Label
    producer_id: Label
    seq: Count
    received_at: Micros
    log_partition: Count
    log_offset: Count
    backfill: bool


class Judged(Struct, frozen=True, kw_only=True):
    """What the workers add to a decision. `judged_verdict` may be `not_replayable`, what it wanted in `not_replayable_key`."""

    judged_verdict: Annotated[str, Meta(extra={"dictionary": True})] | None  # allow deny warn audit not_replayable; None: no policy
    judged_mode: Mode | None  # the project's, or the deciding rule's own, when judged
    judged_reason_code: ReasonCode | None
    judged_policy_id: Label | None
    judged_rule_id: Label | None
    judged_rule: Count | None  # the deciding rule's place in the bundle, from 1; None: none decided
    judged_bundle_digest: Digest | None
    not_replayable_key: Label | None
    candidates: Json = ABSENT  # {bundle digest: {"verdict": …, "rule_id": …, "rule": …}}
    drift_kinds: tuple[str, ...] = ()  # verdict_differs, bundle_stale, governance_off, enforcement_gap, and bundle_ with a bundle_state
    finding_types: tuple[str, ...] = ()  # the personal data and secrets found in it, such as email, aws_key


class Finding(Struct, frozen=True, kw_only=True):
    """What looking at decisions noticed. `path` and `fingerprint` are of the value found, never the value."""

    finding_id: Uuid
    project_id: Label
    received_at: Micros
    occurred_at: Micros
    type: FindingType
    detail: Label  # pii and secret: email, iban, aws_key …; drift: verdict_differs …; loss: its reason
    severity: Severity
    decision_id: Uuid | None = None
    producer_id: Label | None = None
    agent_id: Label | None = None
    action: Name | None = None
    path: Name | None = None  # JSON path in the decision, such as args.recipient
    count: Count = 1
    fingerprint: Mac | None = None
    message: Text | None = None  # one sentence for a person
    first_seq: Count | None = None  # sequence_gap, sequence_conflict: the range, ends included
    last_seq: Count | None = None
    since_at: Micros | None = None  # gaps and losses: the range of time
    backfill: bool = False
    log_partition: Count | None = None  # the message that caused it: what lands with its offset
    log_offset: Count | None = None


class Quarantined(Struct, frozen=True, kw_only=True):
    """Rejected input, with why and (at most 64 KiB of) its bytes."""

    quarantine_id: Uuid
    project_id: Label
    received_at: Micros
    producer_id: Label | None
    seq: Count | None
    log_partition: Count
    log_offset: Count
    stage: Literal["ingest", "decode", "sequence"]
    code: Label
    path: Name
    reason: Text
    length: Count
    sha256: Label
    bytes: bytes


class Tally(Struct, frozen=True, kw_only=True):
    """One log message, counted: received = landed + duplicate + quarantined. Holds no personal data."""

    project_id: Label
    producer_id: Label
    received_at: Micros
    log_id: Label
    log_partition: Count
    log_offset: Count
    first_seq: Count
    count: Count
    received: Count
    landed: Count
    duplicate: Count
    quarantined: Count
    decisions: Count  # landed, of kind decision
    outcomes: Count
    losses: Count
    lost: Count  # what the losses say could not be kept
    total: Count  # the producer's running total when it sent the batch
    closed: bool
    backfill: bool
    ids_digest: Mac  # of the landed ids in order: same range and digest is a duplicate
    occurred_min_at: Micros | None
    occurred_max_at: Micros | None


class Rollup(Struct, frozen=True, kw_only=True):
    """Decisions counted by minute. Grain `minute` lands with each batch; compaction adds `detail`, and the same by the `hour`."""

    grain: Grain
    project_id: Label
    received_at: Micros  # the start of `received_minute`: partition and retention
    occurred_minute: Micros
    received_minute: Micros
    verdict: Label | None  # the agent's, else the workers'
    judged_verdict: Label | None
    mode: Label
    effect: Label
    backfill: bool
    decisions: Count
    with_findings: Count
    agent_id: Label | None = None  # grains `detail` and `hour` only, from here on
    action: Name | None = None
    resource_label: Name | None = None
    policy_id: Label | None = None
    rule_id: Label | None = None
    judged_rule_id: Label | None = None
    judged_rule: Count | None = None
    judged_bundle_digest: Digest | None = None
    candidates: Json = ABSENT  # as on the decision: what Rollout compares, without reading decisions
    found: Label | None = None  # its finding types and drift kinds, a space between; None: nothing


# A row has the fields of each of these, in this order. A row of kind `decision` is so a decision where it was placed and as it was judged.
KINDS: dict[Kind, tuple[type[Struct], ...]] = {
    "decision": (Placed, Decision, Judged),
    "outcome": (Placed, Outcome),
    "finding": (Finding,),
    "quarantine": (Quarantined,),
    "tally": (Tally,),
    "rollup": (Rollup,),
}
