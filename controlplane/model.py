"""What the control plane says of projects, policies, candidates and changes; and its limits."""

from typing import Any, Literal, get_args

from msgspec import UNSET, Struct, UnsetType, field

from controlzero.errors import Rejected
from controlzero.records import Mode
from topics.control import AGENT_SCOPES, Scope

OnStale = Literal["keep", "deny"]
OnUnrecordable = Literal["go_on", "deny"]
OnEnforcementGap = Literal["record", "stop_agent"]
Retained = Literal["decision", "outcome", "finding", "quarantine", "rollup"]  # tallies outlive all: they prove completeness
Role = Literal["owner", "admin", "editor", "viewer"]
Cause = Literal["policy", "mode", "settings", "candidate", "renewal", "rotation"]

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
KEY_NAME_CHARS_MAX = 100  # of an API key: with its id it is an actor
MEMBERS_MAX = 1_000  # of an organisation
ENVIRONMENTS_MAX = 20  # of a project
SECRET_BYTES_MAX = 16_384  # a service account's JSON or a chain of certificates; 200 of them are what one session carries
GRACE_S_MAX = 30 * 86_400  # a rotated key that is good for longer was not rotated

DEFAULT_SCOPES: tuple[Scope, ...] = (*AGENT_SCOPES, "secrets:read")  # what an agent needs of its own project
ROLE_SCOPES: dict[str, tuple[Scope, ...]] = {
    "viewer": ("control:read",),
    "editor": ("control:read", "control:write", *AGENT_SCOPES),
    "admin": ("control:read", "control:write", *DEFAULT_SCOPES, "secrets:write", "keys:write"),
    "owner": get_args(Scope),
}


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
    webhook_url: str | None  # where it goes: who has the whole of one may post there
    on_enforcement_gap: OnEnforcementGap = "record"
    created_at: int
    archived_at: int | None = None
    organisation_id: str = "default"


class ProjectSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings to change; what is left UNSET stays, and a `webhook_url` as it is shown.

    `retention_days` is merged by kind; None there means keep for ever.
    """

    name: str | UnsetType = UNSET
    on_stale: OnStale | UnsetType = UNSET
    on_unrecordable: OnUnrecordable | UnsetType = UNSET
    bundle_days: int | UnsetType | None = UNSET
    retention_days: dict[Retained, int | None] | UnsetType = UNSET
    webhook_url: str | UnsetType | None = UNSET
    on_enforcement_gap: OnEnforcementGap | UnsetType = UNSET


class Organisation(Struct, frozen=True, kw_only=True):
    """Whom projects and members belong to."""

    organisation_id: str
    name: str
    created_at: int


class Member(Struct, frozen=True, kw_only=True):
    """Somebody of an organisation; the role bounds what the keys of that name may do."""

    organisation_id: str
    name: str
    role: Role
    added_at: int
    added_by: str


class Environment(Struct, frozen=True, kw_only=True):
    """An environment of a project: a key may be for one, and then reads its secrets."""

    project_id: str
    name: str
    created_at: int
    created_by: str


class Key(Struct, frozen=True, kw_only=True):
    """An API key, of which only a hash is kept."""

    key_id: str
    name: str
    prefix: str  # the first characters, for people
    projects: tuple[str, ...]  # that it grants
    scopes: tuple[str, ...]  # what it may do there, no more than its member's role allows
    environment: str | None  # None: all
    member: str | None  # whose it is; None: of no member, so no role bounds it
    created_at: int
    created_by: str
    expires_at: int | None
    revoked_at: int | None
    rotated_to: str | None  # the key that stands in its place
    last_used_at: int | None  # to half a minute


class Secret(Struct, frozen=True, kw_only=True):
    """What may be known of a secret: all but its value."""

    project_id: str
    environment: str | None  # None: all
    name: str
    version: int
    updated_at: int
    updated_by: str
    last_read_at: int | None  # to a minute
    last_read_by: str | None


class VaultRotation(Struct, frozen=True, kw_only=True):
    """What came of rotating the vault's key."""

    vault_key_id: str
    rewrapped: int  # data keys: one of each project that has secrets
    destroyed: bool  # whether the former keys are gone; False where they come from a setting, and are the operator's to take away


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


class Rotated(Struct, frozen=True):
    """A signing key that took the place of another, and the projects whose bundles it signed anew."""

    old_key_id: str
    key_id: str
    projects: tuple[str, ...]


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
