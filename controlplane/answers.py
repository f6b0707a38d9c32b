"""The tables' rows as the records the control plane answers with."""

from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from controlplane.changes import unknown_project
from controlplane.model import Candidate, Change, LogEntry, NotFound, PolicyVersion, Project
from controlplane.signing import decode_policies
from controlplane.tables import CandidateRow, ControlLogRow, ProjectRow, VersionRow

LOG_ENTRIES_MAX = 1_000  # of one answer; page on with `before`
UNSHOWN = "…"  # what stands for the path of a URL


def list_projects(session: Session, *, archived: bool) -> list[Project]:
    """Return the projects by id, with those archived if `archived`."""
    return [project for project in _projects(session, None) if archived or project.archived_at is None]


def project(session: Session, project_id: str) -> Project:
    """Return the project. Raises `NotFound`."""
    found = _projects(session, project_id)
    if not found:
        raise unknown_project(session, project_id)
    return found[0]


def policy_versions(
    session: Session, project_id: str, *, limit: int | None = None, before: int | None = None, with_policies: bool = True
) -> list[PolicyVersion]:
    """Return the project's signed versions, newest first; `before` is a version to page on from."""
    _project_row(session, project_id)
    query = select(VersionRow).where(VersionRow.project_id == project_id).order_by(VersionRow.version.desc()).limit(limit)
    if before is not None:
        query = query.where(VersionRow.version < before)
    if not with_policies:
        query = query.options(defer(VersionRow.policies))
    return [_version(row, with_policies=with_policies) for row in session.scalars(query)]


def version_row(session: Session, project_id: str, version: int | None) -> VersionRow:
    """Return the row of that version, or of the one in force. Raises `NotFound`."""
    wanted = version if version is not None else _project_row(session, project_id).version
    if wanted is None:
        raise NotFound(
            f"project `{project_id}`: no policy yet, so every action is judged by default deny; `cz policy apply FILE --project {project_id}`"
        )
    row = session.get(VersionRow, (project_id, wanted))
    if row is None:
        newest = _project_row(session, project_id).version
        raise NotFound(
            f"project `{project_id}`: no version {wanted}, expected 1 to {newest}; `cz policy versions --project {project_id}` lists them"
        )
    return row


def policy(session: Session, project_id: str, version: int | None) -> PolicyVersion:
    """Return that version, or the one in force. Raises `NotFound`."""
    return _version(version_row(session, project_id, version))


def by_digest(session: Session, project_id: str, digest: str) -> PolicyVersion | Candidate | None:
    """Return what the project signed under that bundle digest, a candidate included; None if it is not the project's."""
    version = session.scalar(select(VersionRow).where(VersionRow.project_id == project_id, VersionRow.digest == digest))
    if version is not None:
        return _version(version)
    candidate = session.scalar(select(CandidateRow).where(CandidateRow.project_id == project_id, CandidateRow.digest == digest))
    return as_candidate(candidate) if candidate is not None else None


def list_candidates(session: Session, project_id: str, *, closed: bool) -> list[Candidate]:
    """Return the project's candidates, oldest first, with those removed or promoted if `closed`."""
    _project_row(session, project_id)
    query = select(CandidateRow).where(CandidateRow.project_id == project_id).order_by(CandidateRow.created_at)
    return [as_candidate(row) for row in session.scalars(query) if closed or row.closed_at is None]


def control_log(session: Session, project_id: str | None, *, limit: int, before: int | None) -> list[LogEntry]:
    """Return the newest entries, those of a project if it is given; `before` is an entry id to page on from."""
    query = select(ControlLogRow).order_by(ControlLogRow.entry_id.desc()).limit(min(limit, LOG_ENTRIES_MAX))
    if project_id is not None:
        _project_row(session, project_id)
        query = query.where(ControlLogRow.project_id == project_id)
    if before is not None:
        query = query.where(ControlLogRow.entry_id < before)
    return [_entry(row) for row in session.scalars(query)]


def shown_url(url: str | None) -> str | None:
    """Return where a URL goes and no more: its path may be a secret."""
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{UNSHOWN}"


def as_change(session: Session, row: ProjectRow, *, changed: bool) -> Change:
    """Return what is in force in the project now, after a change or for want of one."""
    version = session.get(VersionRow, (row.project_id, row.version)) if row.version else None
    return Change(
        changed=changed,
        project_id=row.project_id,
        mode=row.mode,  # type: ignore[arg-type]  # only a Mode was ever written
        version=version.version if version else None,
        digest=version.digest if version else None,
        policy_digest=version.policy_digest if version else None,
    )


def as_candidate(row: CandidateRow) -> Candidate:
    """Return the row as the candidate it keeps."""
    return Candidate(
        project_id=row.project_id,
        digest=row.digest,
        name=row.name,
        policy_digest=row.policy_digest,
        policies=decode_policies(row.policies),
        created_by=row.created_by,
        why=row.why,
        created_at=row.created_at,
        closed_at=row.closed_at,
        closed_as=row.closed_as,  # type: ignore[arg-type]
    )


def _project_row(session: Session, project_id: str) -> ProjectRow:
    row = session.get(ProjectRow, project_id)
    if row is None:
        raise unknown_project(session, project_id)
    return row


def _projects(session: Session, project_id: str | None) -> list[Project]:
    """Return one project or all, in two queries however many there are: pages ask for them at every turn."""
    in_force = (VersionRow.project_id == ProjectRow.project_id) & (VersionRow.version == ProjectRow.version)
    query = select(ProjectRow, VersionRow.digest, VersionRow.policy_digest).outerjoin(VersionRow, in_force).order_by(ProjectRow.project_id)
    beside = select(CandidateRow.project_id, CandidateRow.digest).where(CandidateRow.closed_at.is_(None))
    if project_id is not None:
        query = query.where(ProjectRow.project_id == project_id)
        beside = beside.where(CandidateRow.project_id == project_id)
    candidates: dict[str, list[str]] = {}
    for owner, digest in session.execute(beside.order_by(CandidateRow.created_at, CandidateRow.digest)):
        candidates.setdefault(owner, []).append(digest)
    return [
        Project(
            project_id=row.project_id,
            name=row.name,
            mode=row.mode,  # type: ignore[arg-type]  # only a Mode was ever written
            version=row.version,
            bundle_digest=digest,
            policy_digest=policy_digest,
            candidates=tuple(candidates.get(row.project_id, ())),
            on_stale=row.on_stale,  # type: ignore[arg-type]
            on_unrecordable=row.on_unrecordable,  # type: ignore[arg-type]
            bundle_days=row.bundle_days,
            retention_days=row.retention_days,
            webhook_url=shown_url(row.webhook_url),
            on_enforcement_gap=row.on_enforcement_gap,  # type: ignore[arg-type]
            created_at=row.created_at,
            archived_at=row.archived_at,
            organisation_id=row.organisation_id,
        )
        for row, digest, policy_digest in session.execute(query)
    ]


def _version(row: VersionRow, *, with_policies: bool = True) -> PolicyVersion:
    return PolicyVersion(
        project_id=row.project_id,
        version=row.version,
        digest=row.digest,
        policy_digest=row.policy_digest,
        mode=row.mode,  # type: ignore[arg-type]
        change=row.change,  # type: ignore[arg-type]
        policies=decode_policies(row.policies) if with_policies else (),
        expires_at=row.expires_at,
        created_by=row.created_by,
        why=row.why,
        created_at=row.created_at,
    )


def _entry(row: ControlLogRow) -> LogEntry:
    return LogEntry(
        entry_id=row.entry_id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        project_id=row.project_id,
        subject=row.subject,
        from_value=row.from_value,
        to_value=row.to_value,
        why=row.why,
    )
