"""What the control topic says: keys, bundles, projects and orders, folded into one state every follower holds.

Gateways and workers go on without the control plane's database: they follow these records. No secret
travels here: a key is its hash, and the projects' HMAC keys are derived from a file (see
`controlzero.secrets_on_disk`), never published.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from controlzero.errors import Rejected
from controlzero.records import Mode
from topics.declarations import CONTROL
from topics.log import Log, Message

Scope = Literal[
    "decisions:write",  # deliver decisions and outcomes
    "bundle:read",  # fetch the signed bundle, the mode and the orders
    "session:read",  # fetch the tools of the project
    "secrets:read",  # fetch its secrets, in the clear
    "control:read",  # look at all that is set, secrets' values apart
    "control:write",  # change policies, mode, tools, orders, environments, settings
    "secrets:write",  # set and delete secrets; reads none
    "keys:write",  # make, rotate and revoke keys, none with more than it has itself
    "organisation:write",  # members and new projects
]
AGENT_SCOPES: tuple[Scope, ...] = ("decisions:write", "bundle:read", "session:read")  # of keys made before keys had scopes

READ_BYTES_MAX = 4 * 2**20  # of one read while following: a bundle is at most a few hundred KB


class KeyRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="key"):
    """An API key as followers know it: `cz_live_` or `cz_test_` keys, by the SHA-256 of the whole key."""

    key_id: str
    prefix: str  # the first characters, for people
    sha256: str  # hex
    projects: tuple[str, ...]  # the projects it grants
    created_at: int
    revoked_at: int | None = None
    scopes: tuple[str, ...] = AGENT_SCOPES  # no more than its member's role allows
    expires_at: int | None = None  # what was rotated is good for a while


class BundleRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="bundle"):
    """A signed bundle by its digest; `czpolicy` are the bytes of the file."""

    digest: str
    project_id: str
    czpolicy: bytes


class ProjectRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="project"):
    """A project as it is now: its mode, and the digests of what judges it."""

    project_id: str
    name: str
    mode: Mode
    bundle_digest: str | None = None  # the active one
    candidates: tuple[str, ...] = ()
    retention_days: dict[str, int] = {}  # by kind of the ledger
    on_unrecordable: Literal["go_on", "deny"] = "go_on"
    on_stale: Literal["keep", "deny"] = "keep"
    on_enforcement_gap: Literal["record", "stop_agent"] = "record"
    webhook_url: str | None = None
    archived: bool = False


class OrderRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="order"):
    """A kill switch that is thrown: it denies the calls it concerns until a tombstone lifts it."""

    order_id: str
    reason: str
    issued_at: int
    issued_by: str
    project_id: str | None = None  # None: every project
    agent_id: str | None = None  # None: every agent


ControlRecord = KeyRecord | BundleRecord | ProjectRecord | OrderRecord


class ControlState(Struct, frozen=True, kw_only=True):
    """All that is known of keys, bundles, projects and orders, up to and without `next_offset`."""

    next_offset: int = 0
    keys: Mapping[str, KeyRecord] = {}  # by sha256
    bundles: Mapping[str, BundleRecord] = {}  # by digest
    projects: Mapping[str, ProjectRecord] = {}  # by project_id
    orders: Mapping[str, OrderRecord] = {}  # in force, by order_id


def control_key(record: ControlRecord) -> bytes:
    """Return the key that a record replaces the last of, on the compacted topic."""
    match record:
        case KeyRecord():
            return f"key/{record.key_id}".encode()
        case BundleRecord():
            return f"bundle/{record.digest}".encode()
        case ProjectRecord():
            return f"project/{record.project_id}".encode()
        case OrderRecord():
            return f"order/{record.order_id}".encode()


def orders_of(state: ControlState, project_id: str) -> tuple[OrderRecord, ...]:
    """Return the orders in force that concern a project, the oldest first."""
    found = [order for order in state.orders.values() if order.project_id in (None, project_id)]
    return tuple(sorted(found, key=lambda order: (order.issued_at, order.order_id)))


encode_control = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(ControlRecord).decode


def apply(state: ControlState, message: Message) -> ControlState:
    """Return the state after one message. Raises `Rejected` for one that is no control record."""
    state, problems = apply_all(state, [message])
    if problems:
        raise Rejected(problems[0])
    return state


def apply_all(state: ControlState, messages: Iterable[Message]) -> tuple[ControlState, tuple[str, ...]]:
    """Return the state after messages in order, and a sentence for each that was passed over as no control record."""
    keys, bundles, projects, orders = dict(state.keys), dict(state.bundles), dict(state.projects), dict(state.orders)
    next_offset, problems = state.next_offset, []
    for message in messages:
        next_offset = message.offset + 1
        kind, _, name = message.key.decode(errors="replace").partition("/")
        try:
            record = None if message.value is None else decode_control(message.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problems.append(f"message {message.offset} of {CONTROL.name} (key {kind}/{name}) is passed over: {error}")
            continue
        if kind == "key":  # a key may be replaced under its id: its former hash must not go on opening doors
            for sha256 in [sha256 for sha256, key in keys.items() if key.key_id == name]:
                del keys[sha256]
        match record:
            case KeyRecord():
                keys[record.sha256] = record
            case BundleRecord():
                bundles[record.digest] = record
            case ProjectRecord():
                projects[record.project_id] = record
            case OrderRecord():
                orders[record.order_id] = record
            case None:
                held: dict[str, dict[str, Any]] = {"bundle": bundles, "project": projects, "order": orders}
                held.get(kind, {}).pop(name, None)
    now = replace(state, next_offset=next_offset, keys=keys, bundles=bundles, projects=projects, orders=orders)
    return now, tuple(problems)


class ControlFollower:
    """The control topic as followed by one process: `state` is what `poll` last found, and stays when the log does not answer."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.state = ControlState()
        self.problems: tuple[str, ...] = ()  # of the messages passed over, for the log and the doctor

    def poll(self) -> bool:
        """Read what is new; return whether anything was. Raises `Unavailable` where the log does not answer."""
        followed_from = self.state.next_offset
        while messages := self._log.read(CONTROL.name, 0, self.state.next_offset, bytes_max=READ_BYTES_MAX):
            state, problems = apply_all(self.state, messages)
            self.problems += problems
            self.state = state
        return self.state.next_offset > followed_from
