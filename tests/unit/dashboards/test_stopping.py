"""The Stop button and the orders in force, on every page of a project."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from dashboards.views import PAGES
from tests.ledgers import grown_home

WHY = "it deletes tables"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = grown_home(tmp_path_factory.mktemp("stopping"), now_us=time.time_ns() // 1000, per_day=20).home
    desk = open_desk(Settings(home=home, actor="ada"))
    yield desk
    desk.close()


@pytest.fixture(autouse=True)
def lifted(desk: Desk) -> Iterator[None]:
    yield
    for order in desk.plane.list_orders():
        desk.plane.lift_order(order.order_id, actor="test")


def draw(page, desk):  # its source alone is run, so no annotation
    from dashboards import frame
    from dashboards.views import PAGES

    frame.run(next(each for each in PAGES if each.name == page), desk)


def open_page(desk: Desk, name: str = "overview", **address: Any) -> AppTest:
    app = AppTest.from_function(draw, default_timeout=20, kwargs={"page": name, "desk": desk})
    for key, value in {"project": "default", **address}.items():
        app.query_params[key] = value
    return app.run()


def answered(app: AppTest, *, whom: str = "One agent", agent: str | None = None, reason: str = WHY, confirm: bool) -> AppTest:
    """Open the dialog and answer it; a dialog is drawn in the run of its button alone, so each run presses that again."""
    app.button(key="stop").click().run()
    if whom != "One agent":
        app.radio(key="stop-whom").set_value(whom)
        app.button(key="stop").click().run()
    if agent:
        app.selectbox(key="stop-agent").select(agent)
    app.text_input(key="stop-reason").input(reason)
    if confirm:
        app.button(key="stop-confirm").click()
    return app.button(key="stop").click().run()


def words_of(app: AppTest) -> str:
    return "\n".join(str(piece.proto.body) for piece in app.html if "<style>" not in str(piece.proto.body))


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_every_page_of_the_project_says_who_is_stopped_by_whom_and_why_and_no_other_projects(name: str, desk: Desk) -> None:
    desk.plane.throw_order(project_id="default", agent_id="trading-agent", reason="<b>it spends</b>", actor="bob")
    words = words_of(open_page(desk, name))
    assert "Agent <b>trading-agent</b> is stopped, by bob since" in words
    assert "&lt;b&gt;it spends&lt;/b&gt;" in words
    assert "is stopped" not in words_of(open_page(desk, name, project="payments"))


def test_an_order_for_everything_is_on_the_pages_of_every_project(desk: Desk) -> None:
    desk.plane.throw_order(reason=WHY, actor="bob")
    for project in ("default", "payments"):
        assert "Everything is stopped" in words_of(open_page(desk, project=project))


def test_the_button_states_the_consequence_and_stops_the_agent_that_is_chosen(desk: Desk) -> None:
    app = answered(open_page(desk), agent="trading-agent", confirm=False)
    assert "every call of agent <b>trading-agent</b> is denied</b>, under log-only too" in words_of(app)
    assert desk.plane.list_orders() == []  # asking changes nothing
    app = answered(open_page(desk), agent="trading-agent", confirm=True)
    assert not app.exception
    (order,) = desk.plane.list_orders()
    assert (order.project_id, order.agent_id, order.reason, order.issued_by) == ("default", "trading-agent", WHY, "ada")


def test_all_agents_of_the_project_are_stopped(desk: Desk) -> None:
    answered(open_page(desk), whom="All agents", confirm=True)
    (order,) = desk.plane.list_orders()
    assert (order.project_id, order.agent_id) == ("default", None)
    assert "All agents</b> of project <b>default</b> are stopped" in words_of(open_page(desk))


def test_the_agent_a_page_is_about_is_chosen_already(desk: Desk) -> None:
    app = open_page(desk, "decisions", agent="trading-agent")
    app.button(key="stop").click().run()
    assert app.selectbox(key="stop-agent").value == "trading-agent"


@pytest.mark.parametrize(("agent", "reason", "told"), [(None, WHY, "Which agent?"), ("trading-agent", "", "expected 1 to 300")])
def test_without_an_agent_or_a_reason_nothing_is_stopped_and_the_dialog_says_what_is_missing(
    agent: str | None, reason: str, told: str, desk: Desk
) -> None:
    app = answered(open_page(desk), agent=agent, reason=reason, confirm=True)
    assert told in words_of(app)
    assert desk.plane.list_orders() == []


def test_where_governance_is_off_the_button_says_that_an_order_stops_nothing(desk: Desk) -> None:
    before = desk.plane.project("default").mode
    desk.plane.set_mode("default", "off", actor="ada")
    app = open_page(desk)
    app.button(key="stop").click().run()
    assert "there an order stops <b>nothing</b>" in words_of(app)
    desk.plane.set_mode("default", before, actor="ada")


def test_an_order_is_lifted_where_it_is_shown_with_a_reason(desk: Desk) -> None:
    order = desk.plane.throw_order(project_id="default", agent_id="trading-agent", reason=WHY, actor="bob").order
    app = open_page(desk)
    assert "Calls of agent <b>trading-agent</b> are judged by policy and mode alone again" in words_of(app)
    app.text_input(key=f"order-why-{order.order_id}").input("mended").run()
    app.button(key=f"order-lifted-{order.order_id}").click().run()
    assert desk.plane.list_orders() == []
    entry = desk.plane.control_log("default", limit=1)[0]
    assert (entry.actor, entry.action, entry.why) == ("ada", "order.lifted", "mended")
    assert "is stopped" not in words_of(open_page(desk))
