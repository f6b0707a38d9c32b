"""The one definition of what travels and lands: decision, outcome, loss and rejected line.

A line of a batch is one of these four, told apart by `kind`. Project, producer and sequence number are
the batch's (see `topics`): line i of a batch is number `first_seq + i` of its producer, so a line cannot
claim another tenant or another place. JSON Schema, the Arrow schema of the ledger and the reference pages
are derived from these types and nowhere repeated.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

Verdict = Literal["allow", "deny", "warn", "audit"]
Mode = Literal["enforce", "log-only", "off"]
Effect = Literal["allow", "deny", "warn", "audit"]
ReasonCode = Literal[
    "matched_rule",  # the rule named by `policy_id` and `rule_id` decided
    "default_deny",  # no rule matched
    "malformed_request",  # control or invisible characters, or a `..` segment, in action or resource
    "order",  # a kill switch or budget stop
    "stale_bundle",  # past its age, and the project says deny
    "evaluator_error",  # the evaluator failed: enforce denies
    "unrecordable",  # the project says: no record, no action
    "governance_off",  # mode `off`: nothing was evaluated
]
BundleState = Literal[
    "unconfirmed",  # the server gave no answer: judged by the bundle kept on disk, by one not confirmed for a minute, or after the client was closed
    "expired",  # past its age
    "rollback_refused",  # the server offers an older bundle, which is not taken
    "tampering_refused",  # the server offers a bundle whose bytes were changed, which is not taken
    "signature_refused",  # the server offers a bundle that no trusted key signed, or another project's, which is not taken
]
OutcomeStatus = Literal["ok", "error", "denied", "cancelled"]
LossReason = Literal["spool_full", "disk_full", "torn", "unencodable"]

# Limits on one record. They bound what a row of the ledger and a page can hold; past them the line is
# quarantined with its path, and the SDK cuts its own text before it sends.
NAME_CHARS_MAX = 512  # identities, rule ids
PROJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # as the control plane names projects
ASKED_CHARS_MAX = 4_096  # action and resource as asked: models invent paragraphs as tool names, and they must be judged whole
RESOURCE_KEPT_CHARS_MAX = 200  # what is kept of a resource, and so what a page shows; workers cut after judging
TEXT_CHARS_MAX = 16_384  # reasons and the message beside an action
TAGS_MAX = 64
QUARANTINE_BYTES_MAX = 64 * 2**10  # of a line that cannot be taken: enough to see what it was
INT64_MAX = 2**63 - 1
SCHEMA_VERSION = 1  # of these records: a field more is a version more, so that who reads an older one waits for its upgrade

Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]
Asked = Annotated[str, Meta(max_length=ASKED_CHARS_MAX)]
Label = Annotated[str, Meta(max_length=NAME_CHARS_MAX, extra={"dictionary": True})]
Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
Uuid = Annotated[str, Meta(min_length=36, max_length=36, extra={"arrow": "uuid"})]
Micros = Annotated[int, Meta(ge=0, le=253_402_300_799_999_999, extra={"arrow": "timestamp"})]
Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Json = Annotated[Raw, Meta(extra={"arrow": "json"})]  # kept as the bytes it came in: parsed only by who needs it
ABSENT = Raw(b"null")
Digest = Annotated[str, Meta(max_length=64, extra={"dictionary": True})]
Mac = Annotated[str, Meta(min_length=32, max_length=32, extra={"arrow": "hex16"})]


class Redaction(Struct, frozen=True, omit_defaults=True):
    """The receipt of something masked: which kind of value, how often, at which path of the record.

    One per path and type; `fingerprint` stands for the value, in every spelling of it, where all of them are one.
    """

    path: Name
    type: Label
    count: Count = 1
    fingerprint: Mac | None = None


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="decision"):
    """One governed action: who asked for what, and what the policy said; recorded before the action.

    Times are microseconds since 1970 UTC. `args` is a JSON object, already redacted when an SDK sends it;
    `redactions` names what was masked in it. `verdict` is None where nothing was evaluated in the agent
    (mode `off`, imported traces): workers fill in `judged_verdict`, never this.
    """

    decision_id: Uuid
    occurred_at: Micros
    action: Asked
    mode: Mode
    effect: Effect
    reason_code: ReasonCode | None = None
    verdict: Verdict | None = None
    environment: Label | None = None
    agent_id: Label | None = None
    user_id: Name | None = None
    user_group: Label | None = None
    session_id: Name | None = None
    trace_id: Name | None = None
    span_id: Name | None = None
    tags: Json = ABSENT
    action_raw: Asked | None = None  # only where it differs from `action`
    resource: Asked | None = None
    resource_claimed: bool = True  # False: `resource` is the one the deciding rule named, or the only scalar
    tool: Asked | None = None
    method: Asked | None = None
    args: Json = ABSENT
    args_digest: Mac | None = None  # HMAC-SHA256/128 of the canonical arguments before redaction
    text: Text | None = None  # the message beside the action: inspected, never judged
    redactions: tuple[Redaction, ...] = ()
    facts: Json = ABSENT  # what the bundle's rules read, see controlzero.policy.facts
    policy_id: Label | None = None
    rule_id: Label | None = None
    reason: Text | None = None
    bundle_digest: Digest | None = None
    bundle_state: BundleState | None = None  # None where the server says that it is in force
    evaluated_rules: Count = 0  # the deciding rule's place in the list, from 1
    evaluation_time_ns: Count = 0
    sdk: Label | None = None  # name/version, such as controlzero-python/0.1.0


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="outcome"):
    """What became of a decision, recorded after the action; joined by queries, updating nothing."""

    decision_id: Uuid
    occurred_at: Micros
    carried_out: bool
    status: OutcomeStatus
    error_class: Label | None = None
    latency_ms: Annotated[float, Meta(ge=0)] | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Annotated[float, Meta(ge=0)] | None = None
    denial_unread: bool = False  # a denial (under enforce, or by an order) whose result nobody looked at


class Loss(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="loss"):
    """Records the agent's process could not keep: how many, since when, and why. Never silent."""

    occurred_at: Micros
    since_at: Micros
    count: Count
    reason: LossReason


class Rejected(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="rejected"):
    """A line the gateway refused, in its place in the batch so that it keeps its number."""

    code: Label
    path: Name
    reason: Text
    length: Count  # bytes as received
    sha256: Annotated[str, Meta(min_length=64, max_length=64)]
    bytes: bytes  # the first QUARANTINE_BYTES_MAX of them (base64 on the wire)


Record = Decision | Outcome | Loss | Rejected
AGENT_RECORDS = Decision | Outcome | Loss  # what an agent may send; `rejected` is the gateway's own word

encode_record = msgspec.json.Encoder(order=None).encode
