"""What people do on the pages: follow links, narrow, switch, export; and what the pages do meanwhile."""

import re
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from controlzero.policy import parse
from cz import policy_cases
from tests.browser.conftest import Server, Visit
from tests.ledgers import POLICY, Grown, empty_home, grown_home, land_one_more
from topics.sqlite import SqliteLog


def test_a_card_of_the_overview_leads_to_the_decisions_it_counts(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/?project=default&range=14d&live=false")
    counted = visit.page.inner_text("a.cz-card:nth-child(2) strong")
    visit.page.click("a.cz-card:nth-child(2)")
    visit.page.wait_for_selector("h1:has-text('Decisions')")
    visit.wait()
    assert f"{counted} decisions" in visit.text()
    assert "deny (logged only)" in visit.text()
    visit.check()
    visit.page.close()


def test_a_decision_is_one_click_away_and_its_link_opens_it_again(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d&standing=deny_logged")
    visit.page.click(".cz-table-decisions tbody tr:first-child a")
    visit.page.wait_for_selector(".cz-verdict")
    visit.wait()
    link = visit.page.locator("[data-testid=stCode] code").last.inner_text().replace("\n", "")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/decision\?project=default&id=[0-9a-f-]{36}", link)
    verdict = visit.page.inner_text(".cz-verdict")
    other = browse()
    other.open(link)
    assert other.page.inner_text(".cz-verdict") == verdict
    visit.check()
    other.check()
    visit.page.close()
    other.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_call_of_a_decision_is_tried_against_a_draft_and_copied_as_a_test(
    width: int, browse: Callable[..., Visit], grown_server: Server, tmp_path: Path
) -> None:
    visit = browse(width=width)
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d&resource=asset/BTC")
    visit.page.click("a[href*='decision?']")
    visit.page.wait_for_selector(".cz-verdict")
    visit.wait()
    visit.page.click("summary:has-text('Copy as a test case')")
    copied = visit.page.locator("details [data-testid=stCode] code").first.inner_text()
    (tmp_path / "copied_test.yaml").write_text(copied)
    assert policy_cases.run([tmp_path / "copied_test.yaml"], policies=[parse(POLICY)]).failed == 0
    visit.check()
    visit.page.click("a:has-text('Try this call')")
    visit.page.wait_for_selector("h3:has-text('in force')")
    visit.wait()
    assert "BTC" in visit.page.input_value(".st-key-trial-args textarea")
    assert "session_id" in visit.page.input_value(".st-key-trial-context textarea")
    assert "quantity" not in visit.page.url
    assert "The call of the decision of" in visit.text()
    visit.page.wait_for_function("document.querySelector('.st-key-trial').getBoundingClientRect().bottom < innerHeight")
    area = visit.page.locator(".st-key-policy-default-text textarea")
    area.fill("rules:\n- effect: allow\n  action: trade:*\n  conditions: {args.quantity: {lt: 5}}")
    visit.page.wait_for_selector("text=Rule policy#1 (1 of 1) decides")
    visit.page.wait_for_selector("text=Rule no-crypto (")
    visit.check()
    visit.page.close()


def test_a_filter_is_in_the_address_and_survives_a_reload(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d")
    visit.page.click("[data-testid=stMain] button:has-text('warn')")
    visit.page.wait_for_url(re.compile("standing=warn"))
    visit.page.reload()
    visit.wait()
    verdicts = set(
        visit.page.eval_on_selector_all(".cz-table-decisions tbody .cz-pill:first-child", "pills => pills.map(p => p.innerText.trim())")
    )
    assert "warn" in verdicts
    assert "allow" not in verdicts
    visit.check()
    visit.page.close()


def test_the_project_and_the_time_stay_when_the_page_changes(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/findings?project=payments&range=7d")
    visit.page.click("[data-testid=stSidebar] a:has-text('Compliance')")
    visit.page.wait_for_selector("h1:has-text('Compliance')")
    visit.wait()
    assert "Payments" in visit.text()
    assert "project=payments" in visit.page.url
    assert "range=7d" in visit.page.url
    visit.check()
    visit.page.close()


def test_the_overview_answers_under_its_name_too(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/overview?project=payments&range=7d")
    assert visit.page.inner_text("h1") == "Overview"
    assert visit.page.url == f"{grown_server.url}/?project=payments&range=7d"
    visit.check()
    visit.page.close()


def test_back_brings_back_what_was_filtered_before(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d&agent=trading-agent")
    visit.page.click(".cz-table-decisions tbody tr:first-child a")
    visit.page.wait_for_selector(".cz-verdict")
    visit.page.go_back()
    visit.page.wait_for_selector(".cz-table-decisions")
    visit.wait()
    assert "agent=trading-agent" in visit.page.url
    assert "healthcare-agent" not in visit.page.inner_text(".cz-table-decisions")
    visit.page.close()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_shown_is_exported_and_the_export_is_on_record(
    ending: str, browse: Callable[..., Visit], grown_server: Server, grown: Grown, tmp_path: Path
) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d&agent=trading-agent")
    visit.page.click("[data-testid=stMain] button:has-text('Export')")
    with visit.page.expect_download() as download:
        visit.page.click(f".st-key-export-{ending} button")
    file = tmp_path / f"decisions.{ending}"
    download.value.save_as(file)
    assert file.read_bytes().startswith(b"PAR1" if ending == "parquet" else b'"decision_id"')
    with closing(SqliteLog(grown.home / "log.db")) as log, ControlPlane(grown.home, log, clock=lambda: time.time_ns() // 1000) as plane:
        entry = plane.control_log("default", limit=1)[0]
    assert (entry.action, entry.actor) == ("export.decisions", "tester")
    visit.check()
    visit.page.close()


@pytest.mark.parametrize(("ending", "begins"), [("csv", b'"project"'), ("pdf", b"%PDF-")])
def test_the_compliance_report_is_a_file_as_well(
    ending: str, begins: bytes, browse: Callable[..., Visit], grown_server: Server, tmp_path: Path
) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/compliance?project=default&range=14d")
    with visit.page.expect_download() as download:
        visit.page.click(f".st-key-report-{ending} button")
    file = tmp_path / f"report.{ending}"
    download.value.save_as(file)
    assert file.read_bytes().startswith(begins)
    visit.check()
    visit.page.close()


def test_the_mode_is_switched_after_its_consequence_was_stated(
    browse: Callable[..., Visit], serve: Callable[[Path], Server], tmp_path: Path
) -> None:
    home = grown_home(tmp_path / "home", now_us=time.time_ns() // 1000, per_day=60).home
    visit = browse()
    visit.open(f"{serve(home).url}/rollout?project=default")
    visit.page.click("button:has-text('Switch to log-only')")
    visit.page.wait_for_selector("[role=dialog] .cz-consequence")
    assert re.search(
        r"In the last 24 h \d+ calls? by \d agents? that were denied would have gone ahead", visit.page.inner_text("[role=dialog]")
    )
    visit.page.fill("[role=dialog] input", "the new rule is too strict")
    visit.page.keyboard.press("Tab")
    visit.page.click("[role=dialog] button:has-text('Switch to log-only')")
    visit.page.wait_for_selector("button:has-text('Switch to enforce')")
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log, clock=lambda: time.time_ns() // 1000) as plane:
        entry = plane.control_log("default", limit=1)[0]
        assert plane.project("default").mode == "log-only"
    assert (entry.actor, entry.action, entry.from_value, entry.to_value, entry.why) == (
        "tester",
        "mode.set",
        "enforce",
        "log-only",
        "the new rule is too strict",
    )
    visit.check()
    visit.page.close()


def test_the_overview_shows_a_new_decision_by_itself(browse: Callable[..., Visit], serve: Callable[[Path], Server], tmp_path: Path) -> None:
    home = empty_home(tmp_path / "home", now_us=time.time_ns() // 1000)
    visit = browse()
    visit.open(serve(home).url)
    assert "No decision yet" in visit.text()
    land_one_more(home, now_us=time.time_ns() // 1000, offset=0)
    visit.page.wait_for_selector("text=1 agent")
    land_one_more(home, now_us=time.time_ns() // 1000, offset=1)
    visit.page.wait_for_selector("a.cz-card:first-child strong:has-text('2')")
    visit.check()
    visit.page.close()


def test_the_pages_can_be_used_with_the_keyboard_alone(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/?project=default&range=14d&live=false")
    seen = set()
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        seen.add(
            visit.page.evaluate(
                "(() => { const on = document.activeElement; return on.className.toString().split(' ')[0] + ' ' + on.tagName + ' ' + (on.getAttribute('href') || '').split('?')[0] })()"
            )
        )
    assert any(each.startswith("cz-card A") for each in seen)
    assert "cz-link A decision" in seen
    visit.page.focus(".cz-table-decisions a")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(".cz-verdict")
    visit.page.close()


def test_a_decision_of_another_project_is_not_found(browse: Callable[..., Visit], grown_server: Server, grown: Grown) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/decision?project=default&id={grown.other_projects}")
    assert "Not found" in visit.text()
    assert "basic-support" not in visit.text()
    visit.check()
    visit.page.close()


def test_each_page_has_its_title(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/rollout?project=default")
    visit.page.wait_for_function("document.title.startsWith('Rollout')")
    visit.page.close()


def test_a_policy_comes_into_force_where_denials_stop_actions_once_that_is_confirmed(
    browse: Callable[..., Visit], serve: Callable[[Path], Server], tmp_path: Path
) -> None:
    home = grown_home(tmp_path / "home", now_us=time.time_ns() // 1000, per_day=30).home
    visit = browse()
    visit.open(f"{serve(home).url}/policies?project=default")
    visit.page.fill(".st-key-policy-default-text textarea", "name: shut\nrules:\n- effect: deny\n  action: shell:*\n")
    assert "Mono" in visit.page.evaluate("getComputedStyle(document.querySelector('.st-key-policy-default-text textarea')).fontFamily") or (
        "Code" in visit.page.evaluate("getComputedStyle(document.querySelector('.st-key-policy-default-text textarea')).fontFamily")
    )
    visit.page.keyboard.press("Control+Enter")
    visit.page.click(".st-key-policy-default-apply button")
    visit.page.wait_for_selector("[role=dialog] .cz-banner:has-text('No rule of it allows anything')")
    warned = visit.page.evaluate("getComputedStyle(document.querySelector('[role=dialog] .cz-banner')).borderColor")
    assert warned not in ("rgb(0, 0, 0)", visit.page.evaluate("getComputedStyle(document.querySelector('[role=dialog]')).color"))
    visit.page.fill("[role=dialog] .st-key-policy-default-why input", "the night")
    visit.page.click(".st-key-policy-default-confirm button")
    visit.page.wait_for_selector("text=shut, version")
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log, clock=lambda: time.time_ns() // 1000) as plane:
        version = plane.policy("default")
    assert (version.policies[0]["name"], version.created_by, version.why) == ("shut", "tester", "the night")
    visit.check()
    visit.page.close()


def test_on_a_phone_the_menu_folds_once_a_page_of_it_is_chosen(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse(width=390)
    visit.open(f"{grown_server.url}/?project=default&live=false")
    visit.page.wait_for_selector("body[data-folds-menu]", state="attached")
    for title in ("Project", "Policies"):
        visit.page.click("[data-testid=stExpandSidebarButton]")
        visit.page.click(f"[data-testid=stSidebar] [data-testid=stPageLink] a:visible:has-text('{title}')")
        visit.page.wait_for_selector(f"h1:has-text('{title}')")
        visit.page.wait_for_selector("[data-testid=stSidebar][data-collapsed=true]", state="attached")
    visit.check()
    visit.page.close()


def test_a_phone_shows_a_label_for_each_value_and_long_lists_begin_short(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse(width=390)
    visit.open(f"{grown_server.url}/decisions?project=default&range=14d")
    labels = visit.page.eval_on_selector_all(
        ".cz-table-decisions tbody tr:first-child td:nth-child(n+2):not(:has(.cz-pill))",
        "cells => cells.filter(c => c.offsetHeight).map(c => getComputedStyle(c, '::before').content)",
    )
    assert {'"Mode"', '"Agent"', '"Action"'} <= set(labels)
    assert all(label not in ("none", "normal") for label in labels)
    seen = "rows => rows.filter(r => r.offsetHeight).length"
    assert visit.page.eval_on_selector_all(".cz-table-decisions tbody tr", seen) == 10
    visit.page.click("text=Show all 50 rows")
    assert visit.page.eval_on_selector_all(".cz-table-decisions tbody tr", seen) == 50
    visit.check()
    visit.page.close()


def test_turning_governance_off_looks_like_no_other_button(browse: Callable[..., Visit], grown_server: Server) -> None:
    visit = browse()
    visit.open(f"{grown_server.url}/rollout?project=default")
    colour = "getComputedStyle(document.querySelector('{} button')).color"
    assert visit.page.evaluate(colour.format(".st-key-to-off")) != visit.page.evaluate(colour.format(".st-key-to-log-only"))
    visit.page.close()
