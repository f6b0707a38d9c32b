"""The life of an alert, and the file it is kept in."""

from pathlib import Path

import httpx

from processors.watch import alerts, notify
from processors.watch.alerts import CALM_MINUTES, OPEN_US_MAX, Alert, Delivery, advance
from processors.watch.spikes import MINUTE_US, Reading

NOW = 1_764_500_040_000_000


def a_reading(*, denials: int, p: float, at: int = NOW, before: int = 6, project: str = "shop") -> Reading:
    return Reading(
        project_id=project, at=at, window_minutes=5, denials=denials, decisions=500, before_denials=before, before_minutes=60, p=p
    )


SURE = {"denials": 60, "p": 1e-9}
SUSPECTED = {"denials": 12, "p": 1e-4}
CALM = {"denials": 0, "p": 1.0}


def lived(*minutes: dict[str, float] | None) -> list[list[str]]:
    """The states of the alerts that changed in each minute."""
    open_alerts: dict[str, Alert] = {}
    found = []
    for place, minute in enumerate(minutes):
        at = NOW + place * MINUTE_US
        readings = [] if minute is None else [a_reading(at=at, **minute)]  # type: ignore[arg-type]
        open_alerts, changed = advance(open_alerts, readings, at=at)
        found.append([alert.state for alert in changed])
    return found


def test_a_sure_jump_fires_at_once_and_only_once() -> None:
    assert lived(SURE, SURE, SURE) == [["firing"], [], []]


def test_a_suspicion_fires_when_it_lasts() -> None:
    assert lived(SUSPECTED, SUSPECTED, SUSPECTED) == [["pending"], [], ["firing"]]


def test_a_suspicion_that_does_not_last_is_resolved() -> None:
    assert lived(SUSPECTED, CALM) == [["pending"], ["resolved"]]


def test_a_firing_alert_is_resolved_after_calm_minutes_in_a_row() -> None:
    states = lived(SURE, *[CALM] * (CALM_MINUTES - 1), SURE, *[CALM] * CALM_MINUTES)
    assert [state for minute in states for state in minute] == ["firing", "resolved"]
    assert states[-1] == ["resolved"]


def test_minutes_without_any_decision_are_calm() -> None:
    assert lived(SURE, *[None] * CALM_MINUTES)[-1] == ["resolved"]


def test_a_jump_that_lasts_does_not_become_its_own_measure() -> None:
    open_alerts, _ = advance({}, [a_reading(**SURE)], at=NOW)
    for place in range(1, 60):
        at = NOW + place * MINUTE_US
        open_alerts, changed = advance(open_alerts, [a_reading(denials=60, p=0.5, before=700, at=at)], at=at)
        assert changed == []
    open_alerts, changed = advance(open_alerts, [a_reading(denials=60, p=0.5, before=700)], at=NOW + OPEN_US_MAX + MINUTE_US)
    assert [alert.state for alert in changed] == ["resolved"]
    assert "new level" in changed[0].message


def test_the_same_jump_found_again_has_the_same_id() -> None:
    _, once = advance({}, [a_reading(**SURE)], at=NOW)
    _, again = advance({}, [a_reading(**SURE)], at=NOW)
    assert once == again


def an_alert(state: alerts.State = "firing", *, at: int = NOW) -> Alert:
    _, (alert,) = advance({}, [a_reading(**SURE)], at=NOW)
    return Alert(**{name: getattr(alert, name) for name in Alert.__struct_fields__} | {"state": state, "changed_at": at})


def test_the_file_tells_each_alert_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    alerts.append(path, [an_alert()])
    alerts.append(path, [an_alert("resolved")])
    assert alerts.read(path) == [an_alert("resolved")]
    assert len(alerts.lines_of(path)) == 2


def test_a_torn_last_line_is_passed_over_and_cut_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    alerts.append(path, [an_alert()])
    path.write_bytes(path.read_bytes() + b'{"kind":"alert","alert_')
    assert alerts.read(path) == [an_alert()]
    alerts.append(path, [an_alert("resolved")])
    assert [line.state for line in alerts.lines_of(path)] == ["firing", "resolved"]


def test_no_file_is_no_alerts(tmp_path: Path) -> None:
    assert alerts.read(tmp_path / "alerts.jsonl") == []


def test_a_webhook_is_told_of_firing_and_of_its_end_and_of_each_once() -> None:
    assert notify.due([an_alert("pending")], at=NOW) == []
    assert notify.due([an_alert("pending"), an_alert("resolved")], at=NOW) == []
    firing = [an_alert("firing")]
    assert notify.due(firing, at=NOW) == firing
    told = [*firing, Delivery(alert_id=firing[0].alert_id, state="firing", at=NOW, ok=True)]
    assert notify.due(told, at=NOW) == []
    assert notify.due([*told, an_alert("resolved")], at=NOW) == [an_alert("resolved")]


def test_a_webhook_that_fails_is_tried_again_later_and_given_up_in_the_end() -> None:
    firing = an_alert()
    failed = [Delivery(alert_id=firing.alert_id, state="firing", at=NOW, ok=False, why="HTTP 500")]
    assert notify.due([firing, *failed], at=NOW + 1_000_000) == []
    assert notify.due([firing, *failed], at=NOW + 6_000_000) == [firing]
    assert notify.due([firing, *failed * len(notify.AGAIN_AFTER_S)], at=NOW + 7_200_000_000) == []


def test_only_a_project_that_named_an_address_is_posted_to() -> None:
    posted: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert notify.deliver([an_alert()], {"bank": "http://hook.test/x"}, client, clock=lambda: NOW) == []
        (delivery,) = notify.deliver([an_alert()], {"shop": "http://hook.test/x"}, client, clock=lambda: NOW)
    assert delivery.ok
    assert [str(request.url) for request in posted] == ["http://hook.test/x"]


def test_an_address_that_cannot_be_reached_is_an_attempt_with_its_reason() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with httpx.Client(transport=httpx.MockTransport(refuse)) as client:
        (delivery,) = notify.deliver([an_alert()], {"shop": "http://hook.test/x"}, client, clock=lambda: NOW)
    assert not delivery.ok
    assert "refused" in delivery.why
