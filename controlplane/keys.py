"""API keys: made once, shown once, kept as a hash, good for some projects and scopes, rotated, revoked for ever."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from controlplane.changes import InHand, locked_project, log_change, publish
from controlplane.environments import check_environment
from controlplane.model import DEFAULT_SCOPES, GRACE_S_MAX, GRANTS_MAX, KEY_NAME_CHARS_MAX, ROLE_SCOPES, Key, NotFound
from controlplane.names import checked_label
from controlplane.tables import GrantRow, KeyRow, MemberRow, ProjectRow
from controlzero.errors import Rejected
from controlzero.settings import KEY_CHARS_SHOWN
from topics.control import KeyRecord, Scope

SECRET_BYTES = 24  # 32 url-safe characters, 192 bits: not to be guessed, so a plain hash keeps it
SECOND_US = 1_000_000


def create_key(
    change: InHand,
    projects: Sequence[str],
    *,
    live: bool,
    token: Callable[[int], str],
    name: str | None = None,
    scopes: Sequence[str] = DEFAULT_SCOPES,
    environment: str | None = None,
    member: str | None = None,
) -> tuple[str, Key]:
    """Make a key that grants `projects` and return the secret, this once, with what is kept of it."""
    granted = tuple(dict.fromkeys(projects))
    if not 1 <= len(granted) <= GRANTS_MAX:
        raise Rejected(f"key: grants {len(granted)} projects, expected 1 to {GRANTS_MAX}; name them with --project")
    organisations = {locked_project(change.session, project_id).organisation_id for project_id in granted}
    if len(organisations) != 1:
        raise Rejected(f"key: its projects are of the organisations {', '.join(sorted(organisations))}, expected one; make a key for each")
    for project_id in granted:
        check_environment(change.session, project_id, environment)
    checked = _checked_scopes(scopes)
    if member is not None:
        _check_role(change.session, organisations.pop(), member, checked)
    label = "" if name is None else checked_label("key", name, chars_max=KEY_NAME_CHARS_MAX)
    secret, row = _made(change, granted, live=live, token=token, name=label, scopes=checked, environment=environment, member=member)
    for project_id in granted:
        log_change(change, "key.created", project_id=project_id, subject=row.key_id, after=row.scopes)
    return secret, as_key(change.session, row)


def rotate_key(change: InHand, name: str, *, grace_s: int, token: Callable[[int], str]) -> tuple[str, Key]:
    """Make a key that stands in the place of that one, which is good for `grace_s` more; return the new one's secret, this once."""
    if not 0 <= grace_s <= GRACE_S_MAX:
        raise Rejected(f"grace: {grace_s} s, expected 0 to {GRACE_S_MAX:,}")
    old = _find(change.session, name)
    if old.revoked_at is not None or old.rotated_to is not None:
        state = "revoked" if old.revoked_at is not None else f"rotated already, to {old.rotated_to}"
        raise Rejected(f"key `{old.key_id}`: is {state}; make a new one with `cz keys create`, or rotate the one that is in use")
    projects = _projects_of(change.session, old)
    secret, row = _made(
        change,
        projects,
        live=old.prefix.startswith("cz_live_"),
        token=token,
        name=old.name,
        scopes=tuple(old.scopes.split()),
        environment=old.environment,
        member=old.member,
    )
    old.rotated_to = row.key_id
    until = change.at + grace_s * SECOND_US
    old.expires_at = until if old.expires_at is None else min(old.expires_at, until)
    change.session.flush()
    publish(change, record_of(change.session, old))
    for project_id in projects:
        log_change(change, "key.rotated", project_id=project_id, subject=old.key_id, before=old.key_id, after=row.key_id)
    return secret, as_key(change.session, row)


def grant(change: InHand, key_id: str, project_id: str) -> Key:
    """Let a key speak for one more project, of the same organisation."""
    row = _find(change.session, key_id)
    organisation = locked_project(change.session, project_id).organisation_id
    before = _projects_of(change.session, row)
    if project_id not in before:
        of_before = select(ProjectRow.organisation_id).where(ProjectRow.project_id.in_(before))
        if set(change.session.scalars(of_before)) - {organisation} or len(before) >= GRANTS_MAX:
            raise Rejected(f"key `{row.key_id}`: may speak for at most {GRANTS_MAX} projects, all of one organisation; make another key")
        change.session.add(GrantRow(key_id=row.key_id, project_id=project_id))
        change.session.flush()
        publish(change, record_of(change.session, row))
        log_change(change, "key.granted", project_id=project_id, subject=row.key_id, after=project_id)
    return as_key(change.session, row)


def revoke_key(change: InHand, name: str) -> Key:
    """Revoke the key of that id or prefix and return it; a revoked one stays as it is. Raises `NotFound`."""
    row = _find(change.session, name)
    revoke(change, row)
    return as_key(change.session, row)


def revoke(change: InHand, row: KeyRow) -> None:
    """Revoke a key, unless it is."""
    if row.revoked_at is not None:
        return
    row.revoked_at = change.at
    change.session.flush()
    record = record_of(change.session, row)
    publish(change, record)
    for project_id in record.projects:
        log_change(change, "key.revoked", project_id=project_id, subject=row.key_id, before="active", after="revoked")


def list_keys(session: Session, project_id: str | None) -> list[Key]:
    """Return the keys, newest first; those that grant `project_id` if it is given."""
    query = select(KeyRow).order_by(KeyRow.created_at.desc(), KeyRow.key_id)
    if project_id is not None:
        query = query.join(GrantRow).where(GrantRow.project_id == project_id)
    return [as_key(session, row) for row in session.scalars(query)]


def key_by_secret(session: Session, secret: bytes) -> Key | None:
    """Return the key with this secret, whatever its state; None where there is none such."""
    sha256 = hashlib.sha256(secret).hexdigest()
    row = session.scalar(select(KeyRow).where(KeyRow.sha256 == sha256))
    # The index has compared hashes, of which nobody can choose the start; the last word is had in constant time all the same.
    return as_key(session, row) if row is not None and hmac.compare_digest(row.sha256, sha256) else None


def keys_of_member(session: Session, organisation_id: str, member: str) -> list[KeyRow]:
    """Return the keys of a member."""
    theirs = select(GrantRow.key_id).join(ProjectRow).where(ProjectRow.organisation_id == organisation_id)
    return list(session.scalars(select(KeyRow).where(KeyRow.member == member, KeyRow.key_id.in_(theirs)).order_by(KeyRow.key_id)))


def note_use(session: Session, used_at: Mapping[str, int]) -> None:
    """Keep when keys were last used, by their ids."""
    for key_id, at in used_at.items():
        older = or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < at)
        session.execute(update(KeyRow).where(KeyRow.key_id == key_id, older).values(last_used_at=at))


def label_of(key: Key) -> str:
    """Return the key as the control log names who acts."""
    return f"{key.name} ({key.key_id})" if key.name else key.key_id


def record_of(session: Session, row: KeyRow) -> KeyRecord:
    """Return the key as followers know it."""
    return KeyRecord(
        key_id=row.key_id,
        prefix=row.prefix,
        sha256=row.sha256,
        projects=_projects_of(session, row),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        scopes=_scopes_of(session, row),
        expires_at=row.expires_at,
    )


def as_key(session: Session, row: KeyRow) -> Key:
    """Return the row as the key it keeps."""
    return Key(
        key_id=row.key_id,
        name=row.name,
        prefix=row.prefix,
        projects=_projects_of(session, row),
        scopes=_scopes_of(session, row),
        environment=row.environment,
        member=row.member,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        rotated_to=row.rotated_to,
        last_used_at=row.last_used_at,
    )


def _made(
    change: InHand,
    projects: Sequence[str],
    *,
    live: bool,
    token: Callable[[int], str],
    name: str,
    scopes: Sequence[str],
    environment: str | None,
    member: str | None,
) -> tuple[str, KeyRow]:
    secret = ("cz_live_" if live else "cz_test_") + token(SECRET_BYTES)
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    row = KeyRow(
        key_id=f"key_{sha256[:12]}",
        prefix=secret[:KEY_CHARS_SHOWN],
        sha256=sha256,
        created_at=change.at,
        created_by=change.actor,
        name=name,
        scopes=" ".join(scopes),
        environment=environment,
        member=member,
    )
    change.session.add(row)
    change.session.flush()
    change.session.add_all(GrantRow(key_id=row.key_id, project_id=project_id) for project_id in projects)
    change.session.flush()
    publish(change, record_of(change.session, row))
    return secret, row


def _projects_of(session: Session, row: KeyRow) -> tuple[str, ...]:
    grants = select(GrantRow.project_id).where(GrantRow.key_id == row.key_id).order_by(GrantRow.project_id)
    return tuple(session.scalars(grants))


def _scopes_of(session: Session, row: KeyRow) -> tuple[str, ...]:
    """Return the scopes that the key has now: no more than its member's role allows, none where the member is gone."""
    scopes = tuple(row.scopes.split())
    if row.member is None:
        return scopes
    of_projects = select(ProjectRow.organisation_id).join(GrantRow).where(GrantRow.key_id == row.key_id)
    member = select(MemberRow.role).where(MemberRow.name == row.member, MemberRow.organisation_id.in_(of_projects))
    allowed = ROLE_SCOPES.get(session.scalar(member) or "", ())
    return tuple(scope for scope in scopes if scope in allowed)


def _checked_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    known = get_args(Scope)
    unknown = [scope for scope in scopes if scope not in known]
    if unknown or not scopes:
        raise Rejected(f"scope: `{unknown[0] if unknown else ''}`, expected some of {', '.join(known)}")
    return tuple(scope for scope in known if scope in scopes)


def _check_role(session: Session, organisation_id: str, member: str, scopes: Sequence[Scope]) -> None:
    row = session.get(MemberRow, (organisation_id, checked_label("member", member)))
    if row is None:
        raise NotFound(
            f"member `{member}`: organisation `{organisation_id}` has none such; `cz members set {member} ROLE --organisation {organisation_id}` adds one"
        )
    beyond = [scope for scope in scopes if scope not in ROLE_SCOPES[row.role]]
    if beyond:
        raise Rejected(f"scope `{beyond[0]}`: beyond what the role of `{member}` allows, {row.role}: {', '.join(ROLE_SCOPES[row.role])}")


def _find(session: Session, name: str) -> KeyRow:
    found = list(session.scalars(select(KeyRow).where((KeyRow.key_id == name) | (KeyRow.prefix == name))))
    if len(found) == 1:
        return found[0]
    if found:
        raise Rejected(
            f"key `{name}`: {len(found)} keys begin so, expected one; name it by its id: {', '.join(row.key_id for row in found)}"
        )
    raise NotFound(f"key `{name}`: not found, expected an id such as key_1a2b3c4d5e6f or a prefix; `cz keys list` shows them")
