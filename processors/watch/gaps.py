"""Enforcement gaps as alerts, one for each project, and the orders that stop their agents where the project asked for it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from controlplane.service import ControlPlane
from processors.watch.alerts import CALM_MINUTES, Alert
from processors.watch.spikes import MINUTE_US

WINDOW_MINUTES = 5  # findings land a little after their decisions were received, later where workers were away
STOPPED_WITHIN_US = 15 * MINUTE_US  # an older finding stops nobody: whoever let it happen has had time to see the alert
ACTOR = "watch"


class Gap(Struct, frozen=True, kw_only=True):
    """An agent's actions in a period that went ahead although they were to be denied. Times are microseconds since 1970 UTC."""

    project_id: str
    agent_id: str | None
    gaps: int
    last_at: int
    finding_id: str  # of the newest


def advance(open_alerts: Mapping[str, Alert], gaps: Iterable[Gap], *, at: int) -> tuple[dict[str, Alert], list[Alert]]:
    """Return the open alerts by project after a minute that ended `at`, and those whose state changed in it.

    `gaps` are those of the last `WINDOW_MINUTES`: a first one fires at once; without any, an alert grows calm.
    """
    by_project: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_project.setdefault(gap.project_id, []).append(gap)
    after: dict[str, Alert] = {}
    changed: list[Alert] = []
    for project_id in sorted({*open_alerts, *by_project}):
        before = open_alerts.get(project_id)
        now = _advanced(before, by_project.get(project_id, []), at)
        if now.state != "resolved":
            after[project_id] = now
        if before is None or now.state != before.state:
            changed.append(now)
    return after, changed


def _advanced(alert: Alert | None, gaps: list[Gap], at: int) -> Alert:
    if alert is None:
        return _opened(gaps, at)
    calm_minutes = 0 if gaps else alert.calm_minutes + 1
    if calm_minutes < CALM_MINUTES:
        return replace(alert, calm_minutes=calm_minutes)
    return replace(alert, state="resolved", changed_at=at, calm_minutes=calm_minutes, message=f"{alert.message}; it is over")


def _opened(gaps: list[Gap], at: int) -> Alert:
    project_id, since_at = gaps[0].project_id, at - WINDOW_MINUTES * MINUTE_US
    actions, agents = sum(gap.gaps for gap in gaps), len(gaps)
    went = "1 action" if actions == 1 else f"{actions:,} actions"
    of = "1 agent" if agents == 1 else f"{agents:,} agents"
    return Alert(
        alert_id=hashlib.sha256(f"enforcement_gap/{project_id}/{since_at}".encode()).hexdigest()[:32],
        project_id=project_id,
        rule="enforcement_gap",
        state="firing",
        since_at=since_at,
        changed_at=at,
        window_minutes=WINDOW_MINUTES,
        denials=actions,
        message=f"enforcement gap: {went} of {of} went ahead although the policy in force or an order denies it",
    )


def to_stop(gaps: Iterable[Gap], projects: Collection[str]) -> list[Gap]:
    """Return the gaps whose agents are to be stopped: those of these projects that name one."""
    return [gap for gap in gaps if gap.project_id in projects and gap.agent_id]


def stop(plane: ControlPlane, gap: Gap) -> bool:
    """Stop the gap's agent, unless it is stopped or was released after the gap; say whether an order was thrown. Raises `Rejected`."""
    agent_id = gap.agent_id or ""
    latest = plane.latest_order(gap.project_id, agent_id)
    if latest is not None and (latest.lifted_at is None or latest.lifted_at >= gap.last_at):
        return False
    reason = f"an action went ahead that was to be denied: finding {gap.finding_id}"
    return plane.throw_order(project_id=gap.project_id, agent_id=agent_id, reason=reason, actor=ACTOR).changed
