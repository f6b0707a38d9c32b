"""The environments of a project, such as `staging` and `production`."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.changes import InHand, locked_project, log_change
from controlplane.model import ENVIRONMENTS_MAX, Environment, NotFound
from controlplane.names import checked_environment
from controlplane.tables import EnvironmentRow, GrantRow, KeyRow, SecretRow
from controlplane.wording import counted
from controlzero.errors import Rejected


def add_environment(change: InHand, project_id: str, name: str) -> Environment:
    """Make an environment, unless there is one of that name."""
    locked_project(change.session, project_id)
    checked_environment(name)
    row = change.session.get(EnvironmentRow, (project_id, name))
    if row is None:
        there = change.session.scalar(select(func.count()).select_from(EnvironmentRow).where(EnvironmentRow.project_id == project_id)) or 0
        if there >= ENVIRONMENTS_MAX:
            raise Rejected(f"project `{project_id}`: {there} environments, expected at most {ENVIRONMENTS_MAX}; remove one first")
        row = EnvironmentRow(project_id=project_id, name=name, created_at=change.at, created_by=change.actor)
        change.session.add(row)
        change.session.flush()
        log_change(change, "environment.added", project_id=project_id, subject=name, after=name)
    return _environment(row)


def remove_environment(change: InHand, project_id: str, name: str) -> Environment:
    """Remove an environment that no key in use and no secret is for. Raises `NotFound`."""
    locked_project(change.session, project_id)
    row = change.session.get(EnvironmentRow, (project_id, name))
    if row is None:
        raise unknown_environment(change.session, project_id, name)
    for_it = select(func.count()).select_from(SecretRow).where(SecretRow.project_id == project_id, SecretRow.environment == name)
    held = (
        select(func.count())
        .select_from(KeyRow)
        .join(GrantRow)
        .where(GrantRow.project_id == project_id, KeyRow.environment == name, KeyRow.revoked_at.is_(None))
    )
    secrets, keys = change.session.scalar(for_it) or 0, change.session.scalar(held) or 0
    if secrets or keys:
        raise Rejected(
            f"environment `{name}`: {counted(secrets, 'secret')} and {counted(keys, 'key')} are for it; delete and revoke them first"
        )
    change.session.delete(row)
    change.session.flush()
    log_change(change, "environment.removed", project_id=project_id, subject=name, before=name)
    return _environment(row)


def list_environments(session: Session, project_id: str) -> list[Environment]:
    """Return the project's environments by name."""
    query = select(EnvironmentRow).where(EnvironmentRow.project_id == project_id).order_by(EnvironmentRow.name)
    return [_environment(row) for row in session.scalars(query)]


def check_environment(session: Session, project_id: str, name: str | None) -> None:
    """Raise `NotFound` where the project has no environment of that name; none at all is fine."""
    if name is not None and session.get(EnvironmentRow, (project_id, name)) is None:
        raise unknown_environment(session, project_id, name)


def unknown_environment(session: Session, project_id: str, name: str) -> NotFound:
    """Return the error that names the environments there are."""
    there = ", ".join(one.name for one in list_environments(session, project_id)) or "none yet"
    return NotFound(f"environment `{name}`: project `{project_id}` has none such, there are: {there}; add it first")


def _environment(row: EnvironmentRow) -> Environment:
    return Environment(project_id=row.project_id, name=row.name, created_at=row.created_at, created_by=row.created_by)
