"""Making a project and changing its settings."""

import json
import re
from typing import get_args
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET

from controlplane.answers import UNSHOWN, as_change, shown_url
from controlplane.changes import InHand, locked_project, log_change, publish_project
from controlplane.members import DEFAULT_ORGANISATION, check_organisation
from controlplane.model import (
    BUNDLE_DAYS_MAX,
    NAME_CHARS_MAX,
    RETENTION_DAYS_MAX,
    WEBHOOK_CHARS_MAX,
    Change,
    OnEnforcementGap,
    OnStale,
    OnUnrecordable,
    ProjectSettings,
    Retained,
)
from controlplane.signing import next_version
from controlplane.tables import ProjectRow
from controlzero.errors import Rejected

PROJECT_ID = re.compile(r"[a-z0-9_-]{1,64}")
QUARANTINE_DAYS = 7  # rejected input may hold personal data that nothing could mask


def create_project(change: InHand, project_id: str, name: str | None, *, organisation_id: str = DEFAULT_ORGANISATION) -> ProjectRow:
    """Make a project, log-only and without a policy. Raises `Rejected` if there is one or the id is none."""
    if not PROJECT_ID.fullmatch(project_id):
        raise Rejected(f"project id {project_id!r}: expected 1 to 64 of a-z, 0-9, - and _, such as `support-bot`; --name takes any text")
    if change.session.get(ProjectRow, project_id) is not None:
        raise Rejected(f"project `{project_id}`: it is there already; see `cz project show {project_id}` or take another id")
    check_organisation(change.session, organisation_id)
    row = ProjectRow(
        project_id=project_id,
        organisation_id=organisation_id,
        name=_checked_name(project_id if name is None else name),
        mode="log-only",
        version=None,
        on_stale="keep",
        on_unrecordable="go_on",
        bundle_days=None,
        retention_days={"quarantine": QUARANTINE_DAYS},
        webhook_url=None,
        on_enforcement_gap="record",
        created_at=change.at,
        archived_at=None,
    )
    change.session.add(row)
    change.session.flush()
    log_change(change, "project.created", project_id=project_id, subject=project_id, after="log-only")
    publish_project(change, row)
    return row


def set_project(change: InHand, project_id: str, settings: ProjectSettings, *, key: Ed25519PrivateKey) -> Change:
    """Change the settings that differ, each with a line of its own in the control log; sign again if a bundle carries one."""
    project = locked_project(change.session, project_id)
    wanted = {name: value for name, value in _checked(settings, project).items() if value != getattr(project, name)}
    for name, value in wanted.items():
        before, after = _shown(getattr(project, name)), _shown(value)
        log_change(change, "project.set", project_id=project_id, subject=name, before=before, after=after)
        setattr(project, name, value)
    if wanted:
        change.session.flush()
        next_version(change, project, cause="settings", key=key)
        publish_project(change, project)
    return as_change(change.session, project, changed=bool(wanted))


def set_archived(change: InHand, project_id: str, *, archived: bool) -> bool:
    """Put the project into the archive or take it out; say whether that changed anything."""
    project = locked_project(change.session, project_id)
    if (project.archived_at is not None) is archived:
        return False
    project.archived_at = change.at if archived else None
    change.session.flush()
    action, before, after = ("archived", "in use", "archived") if archived else ("restored", "archived", "in use")
    log_change(change, f"project.{action}", project_id=project_id, subject=project_id, before=before, after=after)
    publish_project(change, project)
    return True


def _checked(settings: ProjectSettings, project: ProjectRow) -> dict[str, object]:
    """Return the settings given, by column, or raise `Rejected` with what is wrong."""
    given: dict[str, object] = {}
    if settings.name is not UNSET:
        given["name"] = _checked_name(settings.name)
    if settings.on_stale is not UNSET:
        given["on_stale"] = _one_of("on_stale", settings.on_stale, get_args(OnStale))
    if settings.on_unrecordable is not UNSET:
        given["on_unrecordable"] = _one_of("on_unrecordable", settings.on_unrecordable, get_args(OnUnrecordable))
    if settings.on_enforcement_gap is not UNSET:
        given["on_enforcement_gap"] = _one_of("on_enforcement_gap", settings.on_enforcement_gap, get_args(OnEnforcementGap))
    if settings.bundle_days is not UNSET:
        given["bundle_days"] = _checked_days("bundle_days", settings.bundle_days, days_max=BUNDLE_DAYS_MAX)
    if settings.retention_days is not UNSET:
        changes = {
            _one_of("retention_days", kind, get_args(Retained)): _checked_days(f"retention_days.{kind}", days, days_max=RETENTION_DAYS_MAX)
            for kind, days in settings.retention_days.items()
        }
        merged = {**project.retention_days, **changes}
        given["retention_days"] = {kind: days for kind, days in sorted(merged.items()) if days is not None}
    if settings.webhook_url is not UNSET and settings.webhook_url != shown_url(project.webhook_url):
        given["webhook_url"] = _checked_url(settings.webhook_url)
    return given


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise Rejected(f"project name {name!r}: expected 1 to {NAME_CHARS_MAX} printable characters")
    return name


def _one_of(setting: str, value: str, expected: tuple[str, ...]) -> str:
    if value not in expected:
        raise Rejected(f"{setting}: `{value}`, expected one of {', '.join(expected)}")
    return value


def _checked_days(setting: str, days: int | None, *, days_max: int) -> int | None:
    if days is not None and not 1 <= days <= days_max:
        raise Rejected(f"{setting}: {days}, expected 1 to {days_max} days, or none for no limit")
    return days


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        whole = False
    if not whole or len(url) > WEBHOOK_CHARS_MAX:
        raise Rejected(
            f"webhook_url: expected an http or https URL of at most {WEBHOOK_CHARS_MAX:,} characters, such as https://example.org/hook"
        )
    if UNSHOWN in url:
        raise Rejected(f"webhook_url: `{UNSHOWN}` stands for what is not shown of a URL, expected the whole one")
    if parts.username or parts.password:
        raise Rejected("webhook_url: it carries a user name or password, which followers of the control topic would read; leave them out")
    return url


def _shown(value: object) -> str | None:
    """Return a setting as the control log shows it."""
    if isinstance(value, str) and "://" in value:
        return shown_url(value)
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)
