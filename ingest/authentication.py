"""Whose request it is: an API key looked up among those the control topic tells of, and how fast it may deliver."""

import hashlib
import hmac

from ingest.problems import Refusal
from topics.control import ControlState, KeyRecord, Scope

AUTHORIZATION_CHARS_MAX = 512  # a key is under 100 characters; more is hashed for nobody


def key_of(state: ControlState, authorization: bytes | None, scope: Scope, *, at: int) -> KeyRecord:
    """Return the key a request carries at `at`. Raises `Refusal`: 401 for none, an unknown, revoked or expired one, 403 beyond its scopes."""
    if not authorization:
        raise Refusal("no-key", "The request has no `Authorization` header.")
    scheme, _, secret = authorization.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret or len(authorization) > AUTHORIZATION_CHARS_MAX:
        raise Refusal("no-key", "The `Authorization` header is not `Bearer` and a key.")
    digest = hashlib.sha256(secret).hexdigest()
    key = state.keys.get(digest)
    if key is None or not hmac.compare_digest(key.sha256, digest):
        raise Refusal("unknown-key", "No key is known by this value.")
    if key.revoked_at is not None:
        raise Refusal("revoked-key", f"The key {key.prefix}… was revoked.")
    if key.expires_at is not None and at >= key.expires_at:
        raise Refusal("expired-key", f"The key {key.prefix}… was rotated, and the time it was good for after that is over.")
    if scope not in key.scopes:
        raise Refusal("scope-missing", f"The key {key.prefix}… has not the scope `{scope}`.")
    return key


def project_of(state: ControlState, key: KeyRecord, named: str | None) -> str:
    """Return the project a request is about: the one named, or the key's only one. Raises `Refusal` (403, 422)."""
    if named is None:
        if len(key.projects) != 1:
            raise Refusal("project-required", f"The key {key.prefix}… grants {len(key.projects)} projects, and none is named.")
        named = key.projects[0]
    elif named not in key.projects:
        raise Refusal("project-not-granted", f"The key {key.prefix}… does not grant the project that is named.")
    project = state.projects.get(named)
    if project is not None and project.archived:
        raise Refusal("project-archived", f"Project `{named}` is archived: it takes no records and hands out no bundle.")
    return named


class TokenBuckets:
    """How much each key may deliver now: refilled by the second up to a burst, in debt after a large batch."""

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._filled: dict[str, tuple[float, float]] = {}  # key id: what it holds, and when

    def wait_s(self, key_id: str, *, at_s: float) -> float:
        """Return how long the key must wait before it delivers again; 0 where it may now."""
        holds = self._holds(key_id, at_s)
        return 0.0 if holds > 0 else (1 - holds) / self._per_s

    def take(self, key_id: str, amount: float, *, at_s: float) -> None:
        """Charge the key for what it delivered."""
        self._filled[key_id] = (self._holds(key_id, at_s) - amount, at_s)

    def _holds(self, key_id: str, at_s: float) -> float:
        held, since_s = self._filled.get(key_id, (self._burst, at_s))
        return min(self._burst, held + (at_s - since_s) * self._per_s)
