"""One change as it is being made: its rows, its line in the control log and its record for the followers."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane import outbox
from controlplane.model import NAME_CHARS_MAX, WHY_CHARS_MAX, NotFound
from controlplane.tables import CandidateRow, ControlLogRow, ProjectRow, VersionRow
from controlzero.errors import Rejected
from topics.control import ControlRecord, ProjectRecord


@dataclass(frozen=True, kw_only=True)
class InHand:
    """A change in its transaction: who makes it, when and why."""

    session: Session
    at: int
    actor: str
    why: str | None

    def __post_init__(self) -> None:
        if not self.actor or len(self.actor) > NAME_CHARS_MAX or not self.actor.isprintable():
            raise Rejected(f"actor {self.actor!r}: expected 1 to {NAME_CHARS_MAX} printable characters naming who makes the change")
        if self.why is not None and "\0" in self.why:
            raise Rejected("why: holds a NUL, expected text")
        if self.why is not None and len(self.why) > WHY_CHARS_MAX:
            raise Rejected(f"why: {len(self.why):,} characters, expected at most {WHY_CHARS_MAX:,}; link to the long version")


def locked_project(session: Session, project_id: str) -> ProjectRow:
    """Return the project's row, locked so that its changes happen one after another. Raises `NotFound`."""
    row = session.get(ProjectRow, project_id, with_for_update=True)
    if row is None:
        raise unknown_project(session, project_id)
    return row


def unknown_project(session: Session, project_id: str) -> NotFound:
    """Return the error that names the projects there are."""
    known = session.scalars(select(ProjectRow.project_id).order_by(ProjectRow.project_id).limit(10)).all()
    there = f"there are: {', '.join(known)}" if known else "there are none yet"
    return NotFound(f"project `{project_id}`: not found ({there}); create it with `cz project create {project_id}`")


def log_change(
    change: InHand,
    action: str,
    *,
    project_id: str | None,
    subject: str,
    before: str | None = None,
    after: str | None = None,
) -> None:
    """Write the change's line in the control log."""
    change.session.add(
        ControlLogRow(
            at=change.at,
            actor=change.actor,
            action=action,
            project_id=project_id,
            subject=subject,
            from_value=before,
            to_value=after,
            why=change.why,
        )
    )


def publish(change: InHand, record: ControlRecord) -> None:
    """Have `record` published once the change is committed."""
    outbox.enqueue(change.session, record, at=change.at)


def withdraw(change: InHand, record: ControlRecord) -> None:
    """Have `record` taken away from the followers once the change is committed."""
    outbox.enqueue_tombstone(change.session, record, at=change.at)


def publish_project(change: InHand, project: ProjectRow) -> None:
    """Have the project published as it is now."""
    in_force = change.session.get(VersionRow, (project.project_id, project.version)) if project.version else None
    record = ProjectRecord(
        project_id=project.project_id,
        name=project.name,
        mode=project.mode,  # type: ignore[arg-type]  # only a Mode was ever written
        bundle_digest=in_force.digest if in_force else None,
        candidates=tuple(row.digest for row in open_candidates(change.session, project.project_id)),
        retention_days=project.retention_days,
        on_unrecordable=project.on_unrecordable,  # type: ignore[arg-type]
        on_stale=project.on_stale,  # type: ignore[arg-type]
        on_enforcement_gap=project.on_enforcement_gap,  # type: ignore[arg-type]
        webhook_url=project.webhook_url,
        archived=project.archived_at is not None,
    )
    publish(change, record)


def open_candidates(session: Session, project_id: str) -> list[CandidateRow]:
    """Return the candidates judged beside the project's active bundle, oldest first."""
    query = select(CandidateRow).where(CandidateRow.project_id == project_id, CandidateRow.closed_at.is_(None))
    return list(session.scalars(query.order_by(CandidateRow.created_at, CandidateRow.digest)))
