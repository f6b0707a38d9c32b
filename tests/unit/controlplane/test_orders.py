"""Kill switches: thrown once, bounded, lifted, told to the followers, kept in the control log."""

import pytest

from controlplane.model import ORDERS_MAX, REASON_CHARS_MAX, NotFound, ProjectSettings
from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from topics.control import ControlFollower, OrderRecord
from topics.sqlite import SqliteLog

WHY = "it deletes tables"


@pytest.fixture(autouse=True)
def projects(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.create_project("other", actor="ada")


def followed(log: SqliteLog) -> list[OrderRecord]:
    follower = ControlFollower(log)
    follower.poll()
    return list(follower.state.orders.values())


def test_an_order_is_told_to_the_followers_until_it_is_lifted(plane: ControlPlane, log: SqliteLog) -> None:
    thrown = plane.throw_order(project_id="demo", agent_id="bot", reason=WHY, actor="ada")
    assert thrown.changed
    (told,) = followed(log)
    assert (told.order_id, told.project_id, told.agent_id, told.reason) == (thrown.order.order_id, "demo", "bot", WHY)
    lifted = plane.lift_order(told.order_id, actor="bob", why="mended")
    assert (lifted.lifted_by, lifted.lifted_at is not None) == ("bob", True)
    assert followed(log) == []
    assert plane.list_orders() == []
    assert plane.list_orders(lifted=True) == [lifted]


def test_who_threw_and_lifted_it_and_why_is_in_the_control_log(plane: ControlPlane) -> None:
    order = plane.throw_order(project_id="demo", agent_id="bot", reason=WHY, actor="ada").order
    plane.lift_order(order.order_id, actor="bob", why="mended")
    lifted, thrown = plane.control_log("demo", limit=2)
    assert (thrown.actor, thrown.action, thrown.subject, thrown.why) == ("ada", "order.thrown", "bot", WHY)
    assert (lifted.actor, lifted.action, lifted.subject, lifted.why) == ("bob", "order.lifted", "bot", "mended")


def test_an_order_in_force_for_the_same_is_kept_and_no_second_one_made(plane: ControlPlane) -> None:
    first = plane.throw_order(project_id="demo", agent_id="bot", reason=WHY, actor="ada")
    again = plane.throw_order(project_id="demo", agent_id="bot", reason="again", actor="bob")
    assert not again.changed
    assert again.order == first.order
    plane.lift_order(first.order.order_id, actor="ada")
    assert plane.throw_order(project_id="demo", agent_id="bot", reason="again", actor="bob").changed
    assert plane.throw_order(reason=WHY, actor="ada").changed
    assert not plane.throw_order(reason=WHY, actor="ada").changed


def test_an_order_lifted_twice_keeps_who_lifted_it_first(plane: ControlPlane) -> None:
    order = plane.throw_order(project_id="demo", reason=WHY, actor="ada").order
    first = plane.lift_order(order.order_id, actor="bob")
    assert plane.lift_order(order.order_id, actor="eve") == first


def test_a_project_sees_its_own_orders_and_those_for_everything(plane: ControlPlane) -> None:
    plane.throw_order(project_id="other", reason=WHY, actor="ada")
    own = plane.throw_order(project_id="demo", agent_id="bot", reason=WHY, actor="ada").order
    everything = plane.throw_order(reason=WHY, actor="ada").order
    assert plane.list_orders("demo") == [everything, own]
    assert len(plane.list_orders()) == 3


@pytest.mark.parametrize("reason", ["", "  ", "x" * (REASON_CHARS_MAX + 1), "two\nlines"])
def test_an_order_without_a_reason_that_can_be_told_is_refused(plane: ControlPlane, reason: str) -> None:
    with pytest.raises(Rejected, match=f"expected 1 to {REASON_CHARS_MAX} printable"):
        plane.throw_order(project_id="demo", reason=reason, actor="ada")
    assert plane.list_orders() == []


def test_past_the_limit_an_order_is_refused_and_the_whole_project_named_as_the_way_out(plane: ControlPlane) -> None:
    for number in range(ORDERS_MAX):
        plane.throw_order(project_id="demo", agent_id=f"bot-{number}", reason=WHY, actor="ada")
    with pytest.raises(Rejected, match=f"expected at most {ORDERS_MAX}.*--all-agents --project demo"):
        plane.throw_order(project_id="demo", agent_id="one-more", reason=WHY, actor="ada")
    assert plane.throw_order(project_id="other", agent_id="bot", reason=WHY, actor="ada").changed
    assert plane.throw_order(reason=WHY, actor="ada").changed


def test_an_agent_without_its_project_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(Rejected, match="of which project"):
        plane.throw_order(agent_id="bot", reason=WHY, actor="ada")


def test_an_unknown_order_or_project_is_not_found(plane: ControlPlane) -> None:
    with pytest.raises(NotFound, match="in force: none"):
        plane.lift_order("ord_nothing", actor="ada")
    with pytest.raises(NotFound, match="no-such"):
        plane.throw_order(project_id="no-such", reason=WHY, actor="ada")


def test_the_latest_order_for_an_agent_is_known_after_it_was_lifted(plane: ControlPlane) -> None:
    assert plane.latest_order("demo", "bot") is None
    order = plane.throw_order(project_id="demo", agent_id="bot", reason=WHY, actor="ada").order
    lifted = plane.lift_order(order.order_id, actor="ada")
    assert plane.latest_order("demo", "bot") == lifted


def test_what_an_enforcement_gap_leads_to_is_a_setting_that_followers_learn(plane: ControlPlane, log: SqliteLog) -> None:
    assert plane.project("demo").on_enforcement_gap == "record"
    plane.set_project("demo", ProjectSettings(on_enforcement_gap="stop_agent"), actor="ada")
    follower = ControlFollower(log)
    follower.poll()
    assert follower.state.projects["demo"].on_enforcement_gap == "stop_agent"
    with pytest.raises(Rejected, match="on_enforcement_gap"):
        plane.set_project("demo", ProjectSettings(on_enforcement_gap="panic"), actor="ada")  # type: ignore[arg-type]
