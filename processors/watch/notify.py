"""Tell a project's webhook of its alerts. Nothing leaves this machine unless the project named an address."""

from collections.abc import Callable, Iterable, Mapping

import httpx
from msgspec import to_builtins

from processors.watch.alerts import Alert, Delivery, Line

TIMEOUT_S = 5.0
TOLD_WITHIN_US = 24 * 3_600_000_000  # an address given later is not sent the past
AGAIN_AFTER_S = (0, 5, 15, 60, 300, 900, 3_600)  # then it is given up: the alert is on the pages all the same


def due(lines: Iterable[Line], *, at: int) -> list[Alert]:
    """Return the changes that a webhook has not been told of and that are to be tried now, by all that is in the file.

    A pending alert is told to nobody, and neither is the end of one that never fired.
    """
    told: dict[tuple[str, str], list[Delivery]] = {}
    latest: dict[str, Alert] = {}
    fired: set[str] = set()
    for line in lines:
        if isinstance(line, Delivery):
            told.setdefault((line.alert_id, line.state), []).append(line)
        else:
            latest[line.alert_id] = line
            if line.state == "firing":
                fired.add(line.alert_id)
    return [
        alert
        for alert in latest.values()
        if alert.alert_id in fired and at - alert.changed_at < TOLD_WITHIN_US and _is_due(told.get((alert.alert_id, alert.state), []), at)
    ]


def _is_due(tried: list[Delivery], at: int) -> bool:
    if any(one.ok for one in tried) or len(tried) >= len(AGAIN_AFTER_S):
        return False
    return not tried or at >= tried[-1].at + AGAIN_AFTER_S[len(tried)] * 1_000_000


def deliver(alerts: Iterable[Alert], webhooks: Mapping[str, str], client: httpx.Client, *, clock: Callable[[], int]) -> list[Delivery]:
    """Post each alert to its project's webhook, where it has one; return what came of it."""
    return [_post(alert, webhooks[alert.project_id], client, clock) for alert in alerts if alert.project_id in webhooks]


def _post(alert: Alert, url: str, client: httpx.Client, clock: Callable[[], int]) -> Delivery:
    try:
        answer = client.post(url, json={"text": f"[{alert.project_id}] {alert.message}", "alert": to_builtins(alert)})
        ok, why = answer.is_success, f"HTTP {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        ok, why = False, f"{type(error).__name__}: {error}"
    return Delivery(alert_id=alert.alert_id, state=alert.state, at=clock(), ok=ok, why="" if ok else why[:200])


def webhook_client() -> httpx.Client:
    """Return the client that posts: it follows no redirect and no proxy of the environment, so it reaches the named host alone."""
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
