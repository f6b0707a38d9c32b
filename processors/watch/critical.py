"""Critical findings as alerts, one for each project and rule, and the orders that stop agents where the project asked for it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from controlplane.service import ControlPlane
from processors.watch.alerts import CALM_MINUTES, Alert, Rule
from processors.watch.spikes import MINUTE_US

WINDOW_MINUTES = 5  # findings land a little after their decisions were received, later where workers were away
STOPPED_WITHIN_US = 15 * MINUTE_US  # an older finding stops nobody: whoever let it happen has had time to see the alert
ACTOR = "watch"
WORDS = {
    "verdict_differs": "the workers judge otherwise under the same bundle",
    "bundle_expired": "a bundle past its age is judged by, or all is denied for it",
    "bundle_rollback_refused": "an older bundle was offered, and refused",
    "bundle_tampering_refused": "a bundle changed after signing was offered, and refused",
    "bundle_signature_refused": "a bundle that no trusted key signed was offered, and refused",
}

Subject = tuple[Rule, str]  # what an alert is about: its rule and its project


class Critical(Struct, frozen=True, kw_only=True):
    """What was found critical of an agent's decisions in a period. Times are microseconds since 1970 UTC."""

    rule: Rule  # the findings' type
    project_id: str
    agent_id: str | None
    details: tuple[str, ...]
    decisions: int
    last_at: int
    finding_id: str  # of the newest


def advance(open_alerts: Mapping[Subject, Alert], found: Iterable[Critical], *, at: int) -> tuple[dict[Subject, Alert], list[Alert]]:
    """Return the open alerts after a minute that ended `at`, and those whose state changed in it.

    `found` is what the last `WINDOW_MINUTES` held: a first one fires at once; without any, an alert grows calm.
    """
    by_subject: dict[Subject, list[Critical]] = {}
    for one in found:
        by_subject.setdefault((one.rule, one.project_id), []).append(one)
    after: dict[Subject, Alert] = {}
    changed: list[Alert] = []
    for subject in sorted({*open_alerts, *by_subject}):
        before = open_alerts.get(subject)
        now = _advanced(before, by_subject.get(subject, []), at)
        if now.state != "resolved":
            after[subject] = now
        if before is None or now.state != before.state:
            changed.append(now)
    return after, changed


def _advanced(alert: Alert | None, found: list[Critical], at: int) -> Alert:
    if alert is None:
        return _opened(found, at)
    calm_minutes = 0 if found else alert.calm_minutes + 1
    if calm_minutes < CALM_MINUTES:
        return replace(alert, calm_minutes=calm_minutes)
    return replace(alert, state="resolved", changed_at=at, calm_minutes=calm_minutes, message=f"{alert.message}; it is over")


def _opened(found: list[Critical], at: int) -> Alert:
    rule, project_id, since_at = found[0].rule, found[0].project_id, at - WINDOW_MINUTES * MINUTE_US
    return Alert(
        alert_id=hashlib.sha256(f"{rule}/{project_id}/{since_at}".encode()).hexdigest()[:32],
        project_id=project_id,
        rule=rule,
        state="firing",
        since_at=since_at,
        changed_at=at,
        window_minutes=WINDOW_MINUTES,
        denials=sum(one.decisions for one in found),
        message=_gap(found) if rule == "enforcement_gap" else _drift(found),
    )


def _gap(found: list[Critical]) -> str:
    actions = sum(one.decisions for one in found)
    went = "1 action" if actions == 1 else f"{actions:,} actions"
    return f"enforcement gap: {went} of {_agents(found)} went ahead although the policy in force or an order denies it"


def _drift(found: list[Critical]) -> str:
    details = sorted({detail for one in found for detail in one.details})
    return f"drift of {_agents(found)}: {'; '.join(WORDS.get(detail, detail) for detail in details)}"


def _agents(found: list[Critical]) -> str:
    return "1 agent" if len(found) == 1 else f"{len(found):,} agents"


def to_stop(found: Iterable[Critical], projects: Collection[str]) -> list[Critical]:
    """Return the gaps whose agents are to be stopped: those of these projects that name one."""
    return [one for one in found if one.rule == "enforcement_gap" and one.project_id in projects and one.agent_id]


def stop(plane: ControlPlane, gap: Critical) -> bool:
    """Stop the gap's agent, unless it is stopped or was released after the gap; say whether an order was thrown. Raises `Rejected`."""
    agent_id = gap.agent_id or ""
    latest = plane.latest_order(gap.project_id, agent_id)
    if latest is not None and (latest.lifted_at is None or latest.lifted_at >= gap.last_at):
        return False
    reason = f"an action went ahead that was to be denied: finding {gap.finding_id}"
    return plane.throw_order(project_id=gap.project_id, agent_id=agent_id, reason=reason, actor=ACTOR).changed
