"""Whose request it is: an API key, looked up in the database, so that a revocation holds at once."""

from collections.abc import Callable

from msgspec import Struct

from controlplane.api.problems import Refusal
from controlplane.keys import label_of
from controlplane.model import Key
from controlplane.service import ControlPlane
from topics.control import Scope

AUTHORIZATION_CHARS_MAX = 512  # a key is under 100 characters; more is hashed for nobody


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks: a key, and the name that the control log knows it by."""

    key: Key
    actor: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Caller({self.actor!r}, secret hidden)"


def caller_of(plane: ControlPlane, authorization: str | None, *, clock: Callable[[], int]) -> Caller:
    """Return who carries this header. Raises `Refusal` (401) for nobody, and for a key that is unknown, revoked or expired."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip() or len(authorization or "") > AUTHORIZATION_CHARS_MAX:
        raise Refusal("no-key", "The `Authorization` header is not `Bearer` and a key.")
    presented = secret.strip().encode("latin-1", errors="replace")
    key = plane.key_by_secret(presented)
    if key is None:
        raise Refusal("unknown-key", "No key is known by this value.")
    if key.revoked_at is not None:
        raise Refusal("revoked-key", f"The key {key.prefix}… was revoked.")
    if key.expires_at is not None and clock() >= key.expires_at:
        raise Refusal("expired-key", f"The key {key.prefix}… was rotated, and the time it was good for after that is over.")
    return Caller(key=key, actor=label_of(key), secret=presented)


def check_scope(caller: Caller, scope: Scope) -> None:
    """Raise `Refusal` (403) where the key has not the scope."""
    if scope not in caller.key.scopes:
        raise Refusal("scope-missing", f"The key {caller.key.prefix}… has not the scope `{scope}`.")


def check_project(caller: Caller, project_id: str) -> None:
    """Raise `Refusal` (403) where the key does not grant the project, whether there is such a project or not."""
    if project_id not in caller.key.projects:
        raise Refusal("project-not-granted", f"The key {caller.key.prefix}… does not grant the project that is named.")


def project_of(caller: Caller, named: str | None) -> str:
    """Return the project a request is about: the one named, or the key's only one. Raises `Refusal` (403, 422)."""
    if named is not None:
        check_project(caller, named)
        return named
    if len(caller.key.projects) != 1:
        raise Refusal("project-required", f"The key {caller.key.prefix}… grants {len(caller.key.projects)} projects, and none is named.")
    return caller.key.projects[0]
