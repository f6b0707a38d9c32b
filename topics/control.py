"""What the control topic says: keys, bundles and projects, folded into one state every follower holds.

Gateways and workers go on without the control plane's database: they follow these records. No secret
travels here: a key is its hash, and the projects' HMAC keys are derived from a file (see
`controlzero.secrets_on_disk`), never published.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from controlzero.records import Mode


class KeyRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="key"):
    """An API key as followers know it: `cz_live_` or `cz_test_` keys, by the SHA-256 of the whole key."""

    key_id: str
    prefix: str  # the first characters, for people
    sha256: str  # hex
    projects: tuple[str, ...]  # the projects it grants
    created_at: int
    revoked_at: int | None = None


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
    webhook_url: str | None = None
    archived: bool = False


ControlRecord = KeyRecord | BundleRecord | ProjectRecord


class ControlState(Struct, frozen=True, kw_only=True):
    """All that is known of keys, bundles and projects, up to and without `next_offset`."""

    next_offset: int = 0
    keys: Mapping[str, KeyRecord] = {}  # by sha256
    bundles: Mapping[str, BundleRecord] = {}  # by digest
    projects: Mapping[str, ProjectRecord] = {}  # by project_id


def control_key(record: ControlRecord) -> bytes:
    """Return the key that a record replaces the last of, on the compacted topic."""
    match record:
        case KeyRecord():
            return f"key/{record.key_id}".encode()
        case BundleRecord():
            return f"bundle/{record.digest}".encode()
        case ProjectRecord():
            return f"project/{record.project_id}".encode()


encode_control = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(ControlRecord).decode
