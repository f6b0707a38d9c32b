"""From denials in the log to an alert in its file and at a webhook."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from controlplane.model import ORDERS_MAX, Order, ProjectSettings
from controlplane.service import ControlPlane
from controlzero.records import BundleState, Decision
from processors.embedded import open_worker
from processors.settings import Settings
from processors.testing import a_message, a_place
from processors.watch import alerts
from processors.watch.critical import STOPPED_WITHIN_US
from processors.watch.notify import webhook_client
from processors.watch.spikes import MINUTE_US
from processors.watch.watching import SETTLE_US, Watch, leased
from tests.http_servers import Answering, address, serving
from topics.declarations import DECISIONS
from topics.ending import Ending
from topics.sqlite import SqliteLog
from warehouse.snapshot import Warehouse

BEGAN_AT = 1_764_500_040_000_000 // MINUTE_US * MINUTE_US
POLICY = {"name": "p", "rules": [{"effect": "deny", "action": "shell:*"}, {"effect": "allow", "action": "*"}]}


class Place:
    """A product of a folder of its own, its clock in the test's hand."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.log = SqliteLog(self.settings.log_path)
        with ControlPlane(home, self.log) as plane:
            plane.create_project("shop", actor="test")
            plane.apply_policy("shop", POLICY, actor="test")
        self.worker = open_worker(self.settings, self.log)
        self.sent = 0
        self.now = BEGAN_AT

    def minute(self, *, asked: int, denied: int, backfill: bool = False) -> None:
        """Have a minute pass in which the workers judge so many decisions, of which they deny some."""
        lines = [self._decision(denied=number < denied) for number in range(asked)]
        place = a_place(first_seq=self.sent, count=asked, received_at=self.now, backfill=backfill)
        message = a_message(lines, place)
        self.log.append(DECISIONS.name, [(message.key, message.value, message.headers)])
        self.sent += asked
        self.now += MINUTE_US
        while self.worker.tick() != "idle":
            pass

    def _decision(self, *, denied: bool) -> Decision:
        self._number = getattr(self, "_number", 0) + 1
        action = "shell:run" if denied else "llm:generate"
        decision_id = f"00000000-0000-7000-8000-{self._number:012d}"
        return Decision(decision_id=decision_id, occurred_at=self.now, action=action, mode="log-only", effect="allow")

    def look(self) -> list[alerts.Alert]:
        with webhook_client() as client:
            self.heartbeat = self.watch(client).look()
        return alerts.read(self.settings.alerts_path)

    def watch(self, client: httpx.Client) -> Watch:
        session = Warehouse.open(self.settings.ledger_path).session(None)
        clock, path = lambda: self.now + SETTLE_US, self.settings.alerts_path
        return Watch(session, self.log, path, client, clock=clock, open_plane=self.plane)

    def plane(self) -> ControlPlane:
        return ControlPlane(self.settings.home, self.log, clock=lambda: self.now)

    def go_ahead(self, agent_id: str | None = "bot") -> None:
        """Have a minute pass in which an agent does once what the policy in force denies."""
        self._pass(replace(self._decision(denied=True), agent_id=agent_id, effect="allow"))

    def refuse(self, state: BundleState, agent_id: str = "bot") -> None:
        """Have a minute pass in which an agent acts once, and says what is wrong with the bundle it is offered."""
        self._pass(replace(self._decision(denied=False), agent_id=agent_id, bundle_state=state))

    def _pass(self, decision: Decision) -> None:
        place = a_place(first_seq=self.sent, count=1, received_at=self.now)
        message = a_message([decision], place)
        self.log.append(DECISIONS.name, [(message.key, message.value, message.headers)])
        self.sent += 1
        self.now += MINUTE_US
        while self.worker.tick() != "idle":
            pass

    def orders(self) -> list[Order]:
        with self.plane() as plane:
            return plane.list_orders("shop", lifted=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.log.close()


@contextmanager
def a_webhook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    told: list[dict[str, object]] = []

    class Webhook(Answering):
        def do_POST(self) -> None:
            told.append(json.loads(self.body()))
            self.answer(204, b"")

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Webhook)) as server:
        yield f"{address(server)}/alerts", told


def test_a_jump_of_denials_is_an_alert_that_fires_and_a_webhook_hears_of_it_once(place: Place) -> None:
    with a_webhook() as (url, told):
        with ControlPlane(place.settings.home, place.log) as plane:
            plane.set_project("shop", ProjectSettings(webhook_url=url), actor="test")
        for _ in range(8):
            place.minute(asked=20, denied=1)
        assert place.look() == []
        place.minute(asked=60, denied=50)
        (alert,) = place.look()
        assert (alert.project_id, alert.state, alert.window_minutes, alert.denials) == ("shop", "firing", 1, 50)
        assert place.look() == [alert]
        for _ in range(7):
            place.minute(asked=20, denied=1)
        (alert,) = place.look()
        assert alert.state == "resolved"
    assert [post["alert"]["state"] for post in told] == ["firing", "resolved"]  # type: ignore[index]
    assert "50 of 60 decisions" in str(told[0]["text"])


@pytest.fixture
def enforcing(place: Place) -> Place:
    with place.plane() as plane:
        plane.set_mode("shop", "enforce", actor="test")
    return place


def test_an_enforcement_gap_fires_an_alert_that_ends_when_none_came_for_a_while(enforcing: Place) -> None:
    enforcing.minute(asked=20, denied=0)
    assert enforcing.look() == []
    enforcing.go_ahead()
    (alert,) = enforcing.look()
    assert (alert.rule, alert.state, alert.denials) == ("enforcement_gap", "firing", 1)
    assert "1 action of 1 agent went ahead" in alert.message
    enforcing.go_ahead("other")
    assert enforcing.look() == [alert]
    for _ in range(6):
        assert enforcing.look() == [alert]
        enforcing.minute(asked=1, denied=0)
    (ended,) = enforcing.look()
    assert (ended.alert_id, ended.state) == (alert.alert_id, "resolved")
    assert enforcing.orders() == []  # nobody asked for one


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("expired", "a bundle past its age is judged by, or all is denied for it"),
        ("rollback_refused", "an older bundle was offered, and refused"),
        ("tampering_refused", "a bundle changed after signing was offered, and refused"),
        ("signature_refused", "a bundle that no trusted key signed was offered, and refused"),
    ],
)
def test_a_bundle_that_agents_refuse_or_that_is_past_its_age_fires_an_alert_that_ends_when_they_have_another(
    enforcing: Place, state: BundleState, said: str
) -> None:
    with enforcing.plane() as plane:
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
    enforcing.refuse("unconfirmed")
    assert enforcing.look() == []
    enforcing.refuse(state)
    (alert,) = enforcing.look()
    assert (alert.rule, alert.state, alert.denials, alert.message) == ("drift", "firing", 1, f"drift of 1 agent: {said}")
    enforcing.refuse(state, "other")
    for _ in range(6):
        assert enforcing.look() == [alert]
        enforcing.minute(asked=1, denied=0)
    (ended,) = enforcing.look()
    assert (ended.alert_id, ended.state) == (alert.alert_id, "resolved")
    assert enforcing.orders() == []  # who refuses it does right


def test_a_gap_and_drift_of_one_project_are_two_alerts_and_a_watch_that_starts_anew_knows_both(enforcing: Place) -> None:
    enforcing.go_ahead()
    enforcing.refuse("tampering_refused")
    fired = enforcing.look()
    assert {alert.rule for alert in fired} == {"enforcement_gap", "drift"}
    enforcing.minute(asked=1, denied=0)
    assert (enforcing.look(), enforcing.heartbeat.firing) == (fired, 2)


def test_where_the_project_asks_for_it_a_gap_stops_its_agent_once_and_the_reason_names_the_finding(enforcing: Place) -> None:
    with enforcing.plane() as plane:
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
    enforcing.go_ahead()
    enforcing.look()
    (order,) = enforcing.orders()
    assert (order.project_id, order.agent_id, order.issued_by) == ("shop", "bot", "watch")
    session = Warehouse.open(enforcing.settings.ledger_path).session("shop")
    (gap,) = session.query("watch_critical", since=0, until=enforcing.now).to_pylist()
    assert gap["finding_id"] in order.reason
    enforcing.go_ahead()
    enforcing.look()
    assert enforcing.orders() == [order]


def test_an_agent_that_was_released_is_stopped_by_a_new_gap_alone(enforcing: Place) -> None:
    with enforcing.plane() as plane:
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
    enforcing.go_ahead()
    enforcing.look()
    with enforcing.plane() as plane:
        plane.lift_order(enforcing.orders()[0].order_id, actor="test")
    enforcing.look()
    assert [order.lifted_by for order in enforcing.orders()] == ["test"]
    enforcing.now += 1
    enforcing.go_ahead()
    enforcing.look()
    assert [order.lifted_by for order in enforcing.orders()] == [None, "test"]


def test_a_gap_of_nobody_or_of_long_ago_stops_nobody(enforcing: Place) -> None:
    enforcing.go_ahead()
    enforcing.now += STOPPED_WITHIN_US
    with enforcing.plane() as plane:
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
    enforcing.go_ahead(None)
    enforcing.look()
    assert enforcing.orders() == []


def test_a_gap_whose_agent_cannot_be_stopped_is_told_and_tried_again(enforcing: Place) -> None:
    with enforcing.plane() as plane:
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
        others = [plane.throw_order(project_id="shop", agent_id=f"a{n}", reason="x", actor="test").order for n in range(ORDERS_MAX)]
    enforcing.go_ahead()
    with webhook_client() as client:
        watch = enforcing.watch(client)
        assert f"expected at most {ORDERS_MAX}" in str(watch.look().last_error)
        with enforcing.plane() as plane:
            plane.lift_order(others[0].order_id, actor="test")
        assert watch.look().last_error is None
    assert enforcing.orders()[0].agent_id == "bot"


def test_backfill_is_left_out(place: Place) -> None:
    for _ in range(8):
        place.minute(asked=20, denied=1)
    place.minute(asked=60, denied=50, backfill=True)
    assert place.look() == []


def test_only_one_watch_has_the_lease(tmp_path: Path) -> None:
    ending = Ending()
    with leased(tmp_path / "lock", ending=ending) as first:
        ending.ask()
        with leased(tmp_path / "lock", ending=ending) as second:
            assert (first, second) == (True, False)
