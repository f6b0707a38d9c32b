"""Secrets of a project: set, listed without their values, read by its agents' keys, never without a trace."""

import secrets as randomness
from pathlib import Path

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, undefer

from controlplane.changes import InHand, locked_project, log_change
from controlplane.environments import check_environment
from controlplane.model import SECRET_BYTES_MAX, NotFound, Secret, VaultRotation
from controlplane.names import checked_name
from controlplane.tables import ControlLogRow, DataKeyRow, SecretRow
from controlplane.vault import KEY_BYTES, VaultKeys, begin_rotation, end_rotation, made_vault_keys, seal, unseal, vault_keys
from controlplane.wording import counted
from controlzero.errors import Rejected, Tampered
from controlzero.session import SECRETS_MAX

NOTED_EVERY_US = 60_000_000  # a start of hundreds of agents is one note of who read last
LOGGED_EVERY_US = 3_600_000_000  # per key: a line of the control log an hour says who reads, and floods nothing
READ = "secrets.read"


class Sealed(Struct, frozen=True, kw_only=True):
    """The secrets that an environment reads, as they are kept."""

    rows: tuple[SecretRow, ...]
    data_key: DataKeyRow | None


def set_secret(change: InHand, project_id: str, environment: str | None, name: str, value: str, *, home: Path) -> Secret:
    """Keep a value under a name, in the place of the one there is."""
    locked_project(change.session, project_id)
    checked_name("secret", name)
    check_environment(change.session, project_id, environment)
    content = _checked_value(name, value)
    data_key = _made_data_key(change, project_id, home)
    row = change.session.get(SecretRow, (project_id, environment or "", name))
    before = None if row is None else f"version {row.version}"
    version = 1 if row is None else row.version + 1
    sealed = seal(data_key, content, *_about(project_id, environment or "", name, version))
    if row is None:
        _check_count(change.session, project_id)
        row = SecretRow(project_id=project_id, environment=environment or "", name=name, last_read_at=None, last_read_by=None)
        change.session.add(row)
    row.version, row.sealed, row.updated_at, row.updated_by = version, sealed, change.at, change.actor
    change.session.flush()
    log_change(change, "secret.set", project_id=project_id, subject=_subject(row), before=before, after=f"version {version}")
    return _secret(row)


def delete_secret(change: InHand, project_id: str, environment: str | None, name: str) -> Secret:
    """Delete a secret. Raises `NotFound`."""
    locked_project(change.session, project_id)
    row = change.session.get(SecretRow, (project_id, environment or "", name))
    if row is None:
        raise NotFound(
            f"secret `{name}`: project `{project_id}` has none such{_in(environment)}; `cz secrets list --project {project_id}` lists them"
        )
    change.session.delete(row)
    change.session.flush()
    log_change(change, "secret.deleted", project_id=project_id, subject=_subject(row), before=f"version {row.version}")
    return _secret(row)


def list_secrets(session: Session, project_id: str) -> list[Secret]:
    """Return what may be known of the project's secrets, by name."""
    query = select(SecretRow).where(SecretRow.project_id == project_id).order_by(SecretRow.name, SecretRow.environment)
    return [_secret(row) for row in session.scalars(query)]


def sealed_secrets(session: Session, project_id: str, environment: str | None) -> Sealed:
    """Return the secrets that a key of that environment reads: those for all, and its own in their place."""
    query = select(SecretRow).options(undefer(SecretRow.sealed)).where(SecretRow.project_id == project_id)
    rows = session.scalars(query.where(SecretRow.environment.in_({"", environment or ""})).order_by(SecretRow.environment))
    by_name = {row.name: row for row in rows}
    return Sealed(rows=tuple(by_name[name] for name in sorted(by_name)), data_key=session.get(DataKeyRow, project_id))


def is_noted(sealed: Sealed, *, reader: str, at: int) -> bool:
    """Say whether it is noted already that `reader` reads these secrets about now."""
    return all(
        row.last_read_by == reader and row.last_read_at is not None and at - row.last_read_at < NOTED_EVERY_US for row in sealed.rows
    )


def note_read(change: InHand, project_id: str, sealed: Sealed) -> None:
    """Note that the actor reads these secrets; once an hour in the control log as well."""
    for row in sealed.rows:
        place = (SecretRow.project_id == project_id, SecretRow.environment == row.environment, SecretRow.name == row.name)
        change.session.execute(update(SecretRow).where(*place).values(last_read_at=change.at, last_read_by=change.actor))
    logged = select(ControlLogRow.entry_id).where(
        ControlLogRow.project_id == project_id,
        ControlLogRow.action == READ,
        ControlLogRow.actor == change.actor,
        ControlLogRow.at > change.at - LOGGED_EVERY_US,
    )
    if change.session.scalar(logged.limit(1)) is None:
        log_change(change, READ, project_id=project_id, subject=counted(len(sealed.rows), "secret"))


def opened(sealed: Sealed, keys: VaultKeys | None) -> dict[str, str]:
    """Return the secrets in the clear, by name. Raises `Tampered` where they do not open."""
    if sealed.data_key is None or not sealed.rows:
        return {}
    data_key = _data_key(sealed.data_key, keys)
    return {
        row.name: unseal(data_key, row.sealed, *_about(row.project_id, row.environment, row.name, row.version)).decode()
        for row in sealed.rows
    }


def is_openable(sealed: Sealed, keys: VaultKeys | None) -> bool:
    """Say whether these keys are those that the data key is sealed under."""
    return sealed.data_key is None or (keys is not None and sealed.data_key.vault_key_id in keys.by_id)


def rotate(change: InHand, home: Path) -> None:
    """Seal all data keys anew under a new key of the vault; the former ones open nothing once this is committed."""
    rows = list(change.session.scalars(select(DataKeyRow).with_for_update()))
    there = _present(vault_keys(home)) if rows else made_vault_keys(home)
    contents = [_data_key(row, there) for row in rows]  # one that does not open leaves the vault's keys as they are
    keys = begin_rotation(home, there, in_use={row.vault_key_id for row in rows})
    for row, content in zip(rows, contents, strict=True):
        row.sealed, row.vault_key_id = seal(keys.by_id[keys.current], content, *_about_data_key(row.project_id)), keys.current
    change.session.flush()
    log_change(change, "vault.rotated", project_id=None, subject=keys.current, after=f"{len(rows)} data keys")


def rotated(session: Session, home: Path) -> VaultRotation:
    """Destroy the keys that nothing is sealed under, and say what came of a rotation that is committed.

    The session is one that changes: while it lasts nobody seals anew, so what is in use stays what is in use.
    """
    in_use = list(session.scalars(select(DataKeyRow.vault_key_id)))  # before the file is read: from now on it is our turn
    keys = _present(vault_keys(home))
    destroyed = end_rotation(keys, in_use=frozenset(in_use))
    return VaultRotation(vault_key_id=keys.current, rewrapped=in_use.count(keys.current), destroyed=destroyed)


def _made_data_key(change: InHand, project_id: str, home: Path) -> bytes:
    row = change.session.get(DataKeyRow, project_id)
    keys = made_vault_keys(home) if _has_none(change.session) else _present(vault_keys(home))
    if row is not None:
        return _data_key(row, keys)
    data_key = randomness.token_bytes(KEY_BYTES)
    sealed = seal(keys.by_id[keys.current], data_key, *_about_data_key(project_id))
    change.session.add(DataKeyRow(project_id=project_id, vault_key_id=keys.current, sealed=sealed, created_at=change.at))
    change.session.flush()
    return data_key


def _data_key(row: DataKeyRow, keys: VaultKeys | None) -> bytes:
    key = _present(keys).by_id.get(row.vault_key_id)
    if key is None:
        raise Tampered(
            f"the secrets of project `{row.project_id}` are sealed under the vault's key {row.vault_key_id}, which is not among those "
            "there are; put it back: a line of keys/vault.key, or of what CZ_VAULT_KEY or CZ_VAULT_KEY_FILE says"
        )
    return unseal(key, row.sealed, *_about_data_key(row.project_id))


def _present(keys: VaultKeys | None) -> VaultKeys:
    if keys is None:
        raise Tampered("keys/vault.key is not there, and secrets are sealed under it: restore it from a backup, a new one opens none")
    return keys


def _has_none(session: Session) -> bool:
    return session.scalar(select(DataKeyRow.project_id).limit(1)) is None


def _checked_value(name: str, value: str) -> bytes:
    try:
        content = value.encode()
    except UnicodeEncodeError:
        raise Rejected(f"secret `{name}`: holds half of a surrogate pair, expected Unicode text") from None
    if not 1 <= len(content) <= SECRET_BYTES_MAX:
        raise Rejected(f"secret `{name}`: {len(content):,} bytes, expected 1 to {SECRET_BYTES_MAX:,}")
    return content


def _check_count(session: Session, project_id: str) -> None:
    there = session.scalar(select(func.count()).select_from(SecretRow).where(SecretRow.project_id == project_id)) or 0
    if there >= SECRETS_MAX:
        raise Rejected(f"project `{project_id}`: {there} secrets, expected at most {SECRETS_MAX}; delete those that nobody reads")


def _about(project_id: str, environment: str, name: str, version: int) -> tuple[str, ...]:
    return ("secret", project_id, environment, name, str(version))


def _about_data_key(project_id: str) -> tuple[str, ...]:
    return ("data key", project_id)


def _subject(row: SecretRow) -> str:
    return f"{row.name}{_in(row.environment or None)}"


def _in(environment: str | None) -> str:
    return "" if environment is None else f" in {environment}"


def _secret(row: SecretRow) -> Secret:
    return Secret(
        project_id=row.project_id,
        environment=row.environment or None,
        name=row.name,
        version=row.version,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        last_read_at=row.last_read_at,
        last_read_by=row.last_read_by,
    )
