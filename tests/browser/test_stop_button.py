"""A person in a hurry stops an agent from whatever page is open, and lifts that again."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from tests.browser.conftest import SCREENSHOTS, Server, Visit
from tests.ledgers import grown_home
from topics.sqlite import SqliteLog

AGENT = "trading-agent"


@pytest.mark.parametrize("width", [1280, 390])
def test_an_agent_is_stopped_and_lifted_and_every_page_says_so_in_between(
    width: int, browse: Callable[..., Visit], serve: Callable[[Path], Server], tmp_path: Path
) -> None:
    home = grown_home(tmp_path / "home", now_us=time.time_ns() // 1000, per_day=60).home
    url = serve(home).url
    visit, other = browse(width=width), browse(width=width)
    visit.open(f"{url}/decisions?project=default&range=14d&agent={AGENT}")
    other.open(f"{url}/policies?project=default")
    visit.page.click(".st-key-stop button:visible")
    visit.page.wait_for_selector("[role=dialog] .cz-consequence")
    assert f"every call of agent {AGENT} is denied" in visit.page.inner_text("[role=dialog]")
    visit.page.fill(".st-key-stop-reason input", "it trades at night")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SCREENSHOTS / f"stop-{width}.png")
    visit.page.click(".st-key-stop-confirm button")
    banner = f".cz-banner-deny:has-text('Agent {AGENT} is stopped, by tester')"
    for page in (visit, other):  # the other one was open all the while
        page.page.wait_for_selector(banner)
        assert "it trades at night" in page.page.inner_text(banner)
        page.check()
    other.page.screenshot(path=SCREENSHOTS / f"stopped-{width}.png")
    other.page.click("button:has-text('Lift')")
    other.page.fill("[data-testid=stPopoverBody] input", "the market is closed")
    words = other.page.eval_on_selector(
        "[data-testid=stPopoverBody] button:has-text('Lift it')", "button => getComputedStyle(button).color"
    )
    assert words == "rgb(255, 255, 255)"  # as on the page: what lies outside of it has its colours, too
    other.page.click("[data-testid=stPopoverBody] button:has-text('Lift it')")
    for page in (other, visit):
        page.page.wait_for_selector(banner, state="detached")
        page.check()
        page.page.close()
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        lifted, thrown = plane.control_log("default", limit=2)
        assert plane.list_orders() == []
    assert (thrown.actor, thrown.action, thrown.subject, thrown.why) == ("tester", "order.thrown", AGENT, "it trades at night")
    assert (lifted.actor, lifted.action, lifted.why) == ("tester", "order.lifted", "the market is closed")
