"""A person switches log-only mode off and on, writes a policy and hears of its faults while typing, makes a key and ends it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from tests.browser.conftest import SCREENSHOTS, Server, Visit
from tests.ledgers import grown_home
from topics.sqlite import SqliteLog


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown_home(tmp_path_factory.mktemp("settings"), now_us=time.time_ns() // 1000, per_day=20).home


@pytest.fixture(scope="module")
def url(serve: Callable[[Path], Server], home: Path) -> str:
    return serve(home).url


@pytest.fixture
def plane(home: Path) -> Iterator[ControlPlane]:
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        yield plane


@pytest.mark.parametrize("width", [1280, 390])
def test_log_only_mode_is_switched_off_once_the_consequence_was_read(
    width: int, browse: Callable[..., Visit], url: str, plane: ControlPlane
) -> None:
    plane.set_mode("default", "log-only", actor="ada")
    visit = browse(width=width)
    visit.open(f"{url}/project?project=default")
    switch = "[class*=st-key-log-only-] label"
    assert "true: every call is judged and recorded, and goes ahead" in visit.page.inner_text(".st-key-log-only")
    visit.page.click(switch)
    visit.page.wait_for_selector("[role=dialog] .cz-consequence")
    visit.page.click("[role=dialog] button:has-text('Leave it')")
    visit.page.wait_for_selector("[role=dialog]", state="detached")
    visit.page.wait_for_selector("[class*=st-key-log-only-] input:checked", state="attached")
    assert plane.project("default").mode == "log-only"
    visit.page.click(switch)
    visit.page.fill("[role=dialog] .st-key-mode-enforce-why input", "reviewed for a week")
    visit.page.click("[role=dialog] .st-key-mode-enforce-confirm button")
    visit.page.wait_for_selector(".st-key-log-only:has-text('false: denials are enforced')")
    visit.check()
    visit.page.close()
    newest = plane.control_log("default", limit=1)[0]
    assert (newest.actor, newest.from_value, newest.to_value, newest.why) == ("tester", "log-only", "enforce", "reviewed for a week")


def test_a_fault_in_a_policy_shows_while_it_is_typed_and_a_call_is_tried_by_both(browse: Callable[..., Visit], url: str) -> None:
    visit = browse(width=1280)
    visit.open(f"{url}/policies?project=default&range=14d&try=shell:run&as=ops-bot")
    area = visit.page.locator(".st-key-policy-default-text textarea")
    area.click()
    area.press_sequentially("rules:\n- effect: allow\n  acton: shell:*")
    visit.page.wait_for_selector(".cz-table:has-text('did you mean action')")  # the area was not left
    area.fill("rules:\n- effect: allow\n  action: shell:*")
    visit.page.wait_for_selector("text=It is valid")
    visit.page.wait_for_selector("h3:has-text('The text being written')")
    visit.page.wait_for_selector("text=Rule policy#1 (1 of 1) decides")
    visit.page.wait_for_selector("text=Rule no-shell (")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SCREENSHOTS / "policy-bench.png", full_page=True)
    visit.check()
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_key_is_shown_this_once_and_revoked(width: int, browse: Callable[..., Visit], url: str, plane: ControlPlane) -> None:
    plane.set_member("grace", "owner", actor="ada")
    visit = browse(width=width)
    visit.open(f"{url}/keys?project=default")
    visit.page.click(".st-key-key-make button")
    visit.page.click(".st-key-key-member [role=combobox]")
    visit.page.click("[role=option]:has-text('grace')")
    visit.page.click("[role=dialog] .st-key-key-confirm button")
    visit.page.wait_for_selector("[role=dialog] code")
    secret = visit.page.inner_text("[role=dialog] code").split("CONTROLZERO_API_KEY=")[1].split()[0]
    visit.page.screenshot(path=SCREENSHOTS / f"key-{width}.png")
    visit.page.click("[role=dialog] .st-key-key-kept button")
    made = next(key for key in plane.list_keys("default") if secret.startswith(key.prefix))
    assert made.member == "grace"
    visit.page.wait_for_selector(f".st-key-key-revoke-{made.key_id} button")
    visit.page.wait_for_selector("[role=dialog]", state="detached")
    assert secret not in visit.page.content()
    said, button = (visit.page.locator(f".st-key-key-{part}").bounding_box() for part in (f"{made.key_id}-said", f"revoke-{made.key_id}"))
    assert button["y"] >= said["y"] + said["height"] if width == 390 else button["x"] >= said["x"] + said["width"]
    visit.page.click(f".st-key-key-rotate-{made.key_id} button")
    visit.page.click(f"[role=dialog] .st-key-key-rotated-{made.key_id} button")
    visit.page.wait_for_selector("[role=dialog] code")
    rotated = visit.page.inner_text("[role=dialog] code").split("CONTROLZERO_API_KEY=")[1].split()[0]
    visit.page.keyboard.press("Escape")  # a dialog that is closed has been seen, too
    visit.page.wait_for_selector(f".st-key-key-{made.key_id}-said:has-text('rotated, good until')")
    visit.page.wait_for_selector("[role=dialog]", state="detached")
    assert rotated != secret
    assert rotated not in visit.page.content()
    visit.page.click(f".st-key-key-revoke-{made.key_id} button")
    visit.page.click(f"[role=dialog] .st-key-key-end-{made.key_id}-confirm button")
    visit.page.wait_for_selector(f".cz-table:has-text('{made.key_id}')")
    visit.check()
    visit.page.close()
    assert next(key for key in plane.list_keys("default") if key.key_id == made.key_id).revoked_at is not None


def test_an_environment_is_removed_once_nothing_is_for_it(browse: Callable[..., Visit], url: str, plane: ControlPlane) -> None:
    plane.add_environment("default", "staging", actor="ada")
    plane.set_secret("default", "TOKEN", "value", environment="staging", actor="ada")
    visit = browse(width=390)
    visit.open(f"{url}/project?project=default")
    visit.page.click(".st-key-environment-remove-staging button")
    visit.page.click("[role=dialog] .st-key-environment-end-confirm button")
    visit.page.wait_for_selector("[role=dialog]:has-text('1 secret and 0 keys are for it')")
    visit.page.wait_for_selector("[role=dialog] .st-key-environment-end-leave button")
    assert [each.name for each in plane.list_environments("default")] == ["staging"]
    plane.delete_secret("default", "TOKEN", environment="staging", actor="ada")
    visit.page.fill("[role=dialog] .st-key-environment-end-why input", "merged into production")
    visit.page.click("[role=dialog] .st-key-environment-end-confirm button")
    visit.page.wait_for_selector("[role=dialog]", state="detached")
    visit.check()
    visit.page.close()
    assert plane.list_environments("default") == []
    assert plane.control_log("default", limit=1)[0].why == "merged into production"


def test_archiving_a_project_asks_first_and_takes_it_out_of_every_list(browse: Callable[..., Visit], url: str, plane: ControlPlane) -> None:
    visit = browse(width=1280)
    visit.open(f"{url}/project?project=payments")
    visit.page.click(".st-key-archive button")
    visit.page.click("[role=dialog] .st-key-archive-it-confirm button")
    visit.page.wait_for_selector("[role=dialog]", state="detached")
    visit.check()
    visit.page.close()
    assert [project.project_id for project in plane.list_projects()] == ["default"]
    plane.restore_project("payments", actor="ada")
