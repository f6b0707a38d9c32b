"""The pages people change a project on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.model import ProjectSettings
from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from dashboards.views.project import changed_settings
from tests.ledgers import empty_home, grown_home
from tests.unit.dashboards.test_pages import open_page, words_of


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = open_desk(Settings(home=empty_home(tmp_path, now_us=1), actor="ada"))
    yield desk
    desk.close()


def test_log_only_mode_is_a_switch_that_asks_before_it_changes_anything(desk: Desk) -> None:
    desk.plane.set_mode("default", "log-only", actor="ada")
    app = open_page("project", desk)
    assert app.toggle[0].label == "**Log-Only Mode**"
    assert app.toggle[0].value is True
    app.toggle[0].set_value(False).run()
    assert "Switch to enforce" in [button.label for button in app.button]
    assert desk.plane.project("default").mode == "log-only"


def test_a_switch_that_was_not_confirmed_stands_as_before(desk: Desk) -> None:
    mode = desk.plane.project("default").mode
    app = open_page("project", desk)
    was = app.toggle[0].value
    app.toggle[0].set_value(not was).run()
    next(button for button in app.button if button.label == "Leave it").click().run()
    assert app.toggle[0].value is was
    assert desk.plane.project("default").mode == mode


def setting(widgets: Any, name: str) -> Any:
    return next(widget for widget in widgets if widget.key.startswith(f"setting-{name}-"))


def test_settings_are_saved_and_logged_one_by_one(desk: Desk) -> None:
    app = open_page("project", desk)
    setting(app.selectbox, "on_stale").select("deny")
    setting(app.number_input, "kept-decision").set_value(400)
    setting(app.text_input, "why").input("as agreed with legal")
    next(button for button in app.button if button.label == "Save").click().run()
    project = desk.plane.project("default")
    assert (project.on_stale, project.retention_days["decision"]) == ("deny", 400)
    logged = {(entry.subject, entry.why) for entry in desk.plane.control_log("default", limit=2)}
    assert logged == {("on_stale", "as agreed with legal"), ("retention_days", "as agreed with legal")}
    assert "as agreed with legal" in words_of(app)


def test_a_setting_out_of_bounds_is_a_sentence_and_changes_nothing(desk: Desk) -> None:
    app = open_page("project", desk)
    setting(app.text_input, "webhook_url").input("ftp://nowhere")
    next(button for button in app.button if button.label == "Save").click().run()
    assert "expected an http or https URL" in words_of(app)
    assert desk.plane.project("default").webhook_url is None


def test_what_was_not_touched_is_not_written(desk: Desk) -> None:
    project = desk.plane.project("default")
    same = {"name": project.name, "on_stale": project.on_stale, "retention_days": dict.fromkeys(("decision", "quarantine"), None) | project.retention_days}  # fmt: skip
    assert changed_settings(project, same) == ProjectSettings()
    assert changed_settings(project, {**same, "name": "Other"}) == ProjectSettings(name="Other")


def test_a_trial_in_the_address_is_judged_by_the_policy_in_force_and_by_the_text_being_written(desk: Desk) -> None:
    app = open_page("policies", desk, **{"try": "shell:run", "as": "ops-bot"})
    assert "in force" in words_of(app)
    before = words_of(app)
    app.text_area(key="policy-default-text").input("rules:\n- effect: allow\n  action: shell:*\n  conditions: {agent_id: ops-*}\n").run()
    assert "The text above" in words_of(app)
    assert "Rule <b>policy#1</b> (1 of 1) decides" in words_of(app)
    assert "The text above" not in before


def test_writing_starts_from_the_version_shown(desk: Desk) -> None:
    app = open_page("policies", desk)
    app.button(key="policy-start").click().run()
    assert app.text_area(key="policy-default-text").value.startswith("name: ")
    assert "It says what the policy in force says" in words_of(app)


def test_the_forms_of_one_project_hold_nothing_of_another(tmp_path: Path) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=10**15, per_day=5).home, actor="ada"))
    app = open_page("project", desk, project="payments")
    assert setting(app.text_input, "name").value == "Payments"
    setting(app.text_input, "name").input("Half a na").run()
    app.selectbox(key="project").select("default").run()
    assert setting(app.text_input, "name").value == desk.plane.project("default").name
    assert "Switch to" not in "".join(button.label for button in app.button)  # the switch of the other project asks nothing here
    desk.close()


def test_what_another_person_changed_meanwhile_is_shown_and_not_written_over(desk: Desk) -> None:
    app = open_page("project", desk)
    desk.plane.set_project("default", ProjectSettings(on_stale="deny"), actor="grace")
    app.run()
    assert setting(app.selectbox, "on_stale").value == "deny"
