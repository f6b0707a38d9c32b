"""What the control plane says of projects, policies, candidates and changes; and its limits."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

from controlzero.errors import Rejected
from controlzero.records import Mode

OnStale = Literal["keep", "deny"]
OnUnrecordable = Literal["go_on", "deny"]
OnEnforcementGap = Literal["record", "stop_agent"]
Retained = Literal["decision", "outcome", "finding", "quarantine", "rollup"]  # tallies outlive all: they prove completeness
Cause = Literal["policy", "mode", "settings", "candidate", "renewal"]

# Limits: each bounds a page, a message of the control topic, or what every worker judges again.
NAME_CHARS_MAX = 200  # names and actors: one line on a page
WHY_CHARS_MAX = 2_000  # a paragraph
POLICIES_MAX = 64  # in one bundle
CANDIDATES_MAX = 8  # each is one more judging of every decision
GRANTS_MAX = 100  # projects of one key
RETENTION_DAYS_MAX = 3_650
BUNDLE_DAYS_MAX = 366
WEBHOOK_CHARS_MAX = 2_000
ORDERS_MAX = 16  # in force in one project: all of them are in a header of the bundle's answer; more agents to stop are a project to stop
REASON_CHARS_MAX = 300  # of an order: it is in that header, and in each decision it denies


class NotFound(Rejected):
    """There is no such project, key, version, candidate or order; the message lists what there is."""


class Project(Struct, frozen=True, kw_only=True):
    """A project as it is now; `version` and the digests are None before its first policy."""

    project_id: str
    name: str
    mode: Mode
    version: int | None
    bundle_digest: str | None
    policy_digest: str | None
    candidates: tuple[str, ...]  # digests of their bundles
    on_stale: OnStale
    on_unrecordable: OnUnrecordable
    bundle_days: int | None  # how long a signed bundle is good for; None: always
    retention_days: dict[str, int]
    webhook_url: str | None
    on_enforcement_gap: OnEnforcementGap = "record"
    created_at: int
    archived_at: int | None = None


class ProjectSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings to change; what is left UNSET stays. `retention_days` is merged by kind; None there means keep for ever."""

    name: str | UnsetType = UNSET
    on_stale: OnStale | UnsetType = UNSET
    on_unrecordable: OnUnrecordable | UnsetType = UNSET
    bundle_days: int | UnsetType | None = UNSET
    retention_days: dict[Retained, int | None] | UnsetType = UNSET
    webhook_url: str | UnsetType | None = UNSET
    on_enforcement_gap: OnEnforcementGap | UnsetType = UNSET


class PolicyVersion(Struct, frozen=True, kw_only=True):
    """One signed version of a project's bundle, and the change that made it."""

    project_id: str
    version: int
    digest: str
    policy_digest: str
    mode: Mode
    change: Cause
    policies: tuple[dict[str, Any], ...]
    expires_at: int | None
    created_by: str
    why: str | None
    created_at: int


class Candidate(Struct, frozen=True, kw_only=True):
    """A bundle judged in shadow beside the active one, or one that was."""

    project_id: str
    digest: str
    name: str
    policy_digest: str
    policies: tuple[dict[str, Any], ...]
    created_by: str
    why: str | None
    created_at: int
    closed_at: int | None
    closed_as: Literal["removed", "promoted"] | None


class Order(Struct, frozen=True, kw_only=True):
    """A kill switch: it denies the calls it concerns in every mode but `off`, from when it was issued until it is lifted."""

    order_id: str
    project_id: str | None  # None: every project
    agent_id: str | None  # None: every agent
    reason: str
    issued_at: int
    issued_by: str
    lifted_at: int | None
    lifted_by: str | None


class Thrown(Struct, frozen=True, kw_only=True):
    """What came of throwing a kill switch: the order in force, and whether it is a new one."""

    changed: bool
    order: Order


class Change(Struct, frozen=True, kw_only=True):
    """What came of asking for a change: the version in force now, and whether anything was changed at all."""

    changed: bool
    project_id: str
    mode: Mode
    version: int | None
    digest: str | None
    policy_digest: str | None


class FirstRun(Struct, frozen=True, kw_only=True):
    """The project a first run made, and its key: shown this once, and kept only as a hash."""

    project: Project
    key: str


class LogEntry(Struct, frozen=True, kw_only=True):
    """One line of the control log: who did what to what, when, from what to what, and why."""

    entry_id: int
    at: int
    actor: str
    action: str
    project_id: str | None
    subject: str
    from_value: str | None = field(name="from")
    to_value: str | None = field(name="to")
    why: str | None
