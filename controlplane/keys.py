"""API keys: made once, shown once, kept as a hash, revoked for ever."""

import hashlib
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.changes import InHand, locked_project, log_change, publish
from controlplane.model import GRANTS_MAX, NotFound
from controlplane.tables import GrantRow, KeyRow
from controlzero.errors import Rejected
from topics.control import KeyRecord

SECRET_BYTES = 24  # 32 url-safe characters, 192 bits: not to be guessed, so a plain hash keeps it
PREFIX_CHARS = len("cz_live_") + 4  # what people may see of a key


def create_key(change: InHand, projects: Sequence[str], *, live: bool, token: Callable[[int], str]) -> tuple[str, KeyRecord]:
    """Make a key that grants `projects` and return the secret, this once, with what is kept of it."""
    granted = tuple(dict.fromkeys(projects))
    if not 1 <= len(granted) <= GRANTS_MAX:
        raise Rejected(f"key: grants {len(granted)} projects, expected 1 to {GRANTS_MAX}; name them with --project")
    for project_id in granted:
        locked_project(change.session, project_id)
    secret = ("cz_live_" if live else "cz_test_") + token(SECRET_BYTES)
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    row = KeyRow(
        key_id=f"key_{sha256[:12]}",
        prefix=secret[:PREFIX_CHARS],
        sha256=sha256,
        created_at=change.at,
        created_by=change.actor,
    )
    change.session.add(row)
    change.session.flush()
    change.session.add_all(GrantRow(key_id=row.key_id, project_id=project_id) for project_id in granted)
    change.session.flush()
    record = key_record(change.session, row)
    publish(change, record)
    for project_id in granted:
        log_change(change, "key.created", project_id=project_id, subject=row.key_id, after=", ".join(granted))
    return secret, record


def revoke_key(change: InHand, name: str) -> KeyRecord:
    """Revoke the key of that id or prefix and return it; a revoked one stays as it is. Raises `NotFound`."""
    row = _find(change.session, name)
    if row.revoked_at is None:
        row.revoked_at = change.at
        change.session.flush()
        record = key_record(change.session, row)
        publish(change, record)
        for project_id in record.projects:
            log_change(change, "key.revoked", project_id=project_id, subject=row.key_id, before="active", after="revoked")
    return key_record(change.session, row)


def list_keys(session: Session, project_id: str | None) -> list[KeyRecord]:
    """Return the keys, newest first; those that grant `project_id` if it is given."""
    query = select(KeyRow).order_by(KeyRow.created_at.desc(), KeyRow.key_id)
    if project_id is not None:
        query = query.join(GrantRow).where(GrantRow.project_id == project_id)
    return [key_record(session, row) for row in session.scalars(query)]


def key_record(session: Session, row: KeyRow) -> KeyRecord:
    """Return the key as followers know it."""
    grants = session.scalars(select(GrantRow.project_id).where(GrantRow.key_id == row.key_id).order_by(GrantRow.project_id))
    return KeyRecord(
        key_id=row.key_id,
        prefix=row.prefix,
        sha256=row.sha256,
        projects=tuple(grants),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _find(session: Session, name: str) -> KeyRow:
    found = list(session.scalars(select(KeyRow).where((KeyRow.key_id == name) | (KeyRow.prefix == name))))
    if len(found) == 1:
        return found[0]
    if found:
        raise Rejected(
            f"key `{name}`: {len(found)} keys begin so, expected one; name it by its id: {', '.join(row.key_id for row in found)}"
        )
    raise NotFound(f"key `{name}`: not found, expected an id such as key_1a2b3c4d5e6f or a prefix; `cz keys list` shows them")
