"""The pages people change a project on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from markupsafe import Markup
from msgspec.structs import replace
from streamlit.testing.v1 import AppTest

from controlplane.model import ProjectSettings
from controlzero.errors import Rejected
from controlzero.session import McpCommandTool
from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from dashboards.views.keys import state_of
from dashboards.views.project import changed_settings
from dashboards.views.tools import tool_of
from dashboards.words import SCOPE_WORDS
from tests.ledgers import empty_home, grown_home
from tests.unit.dashboards.test_pages import open_page, words_of
from topics.control import Scope
from warehouse.retention import QUARANTINE_DAYS


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
    pressed(app, "Leave it")
    assert app.toggle[0].value is was
    assert desk.plane.project("default").mode == mode


def setting(widgets: Any, name: str) -> Any:
    return next(widget for widget in widgets if widget.key.startswith(f"setting-{name}-"))


def test_what_is_kept_where_nothing_is_said_is_told_as_the_keeper_keeps_it(desk: Desk) -> None:
    app = open_page("project", desk)
    told = {kind: setting(app.number_input, f"kept-{kind}").placeholder for kind in ("decision", "quarantine")}
    assert told == {"decision": "for ever", "quarantine": f"{QUARANTINE_DAYS} days"}


def test_settings_are_saved_and_logged_one_by_one(desk: Desk) -> None:
    app = open_page("project", desk)
    setting(app.selectbox, "on_stale").select("deny")
    setting(app.number_input, "kept-decision").set_value(400)
    setting(app.text_input, "why").input("as agreed with legal")
    pressed(app, "Save")
    project = desk.plane.project("default")
    assert (project.on_stale, project.retention_days["decision"]) == ("deny", 400)
    logged = {(entry.subject, entry.why) for entry in desk.plane.control_log("default", limit=2)}
    assert logged == {("on_stale", "as agreed with legal"), ("retention_days", "as agreed with legal")}
    assert "as agreed with legal" in words_of(app)


def test_a_setting_out_of_bounds_is_a_sentence_and_changes_nothing(desk: Desk) -> None:
    app = open_page("project", desk)
    setting(app.text_input, "webhook_url").input("ftp://nowhere")
    pressed(app, "Save")
    assert "expected an http or https URL" in words_of(app)
    assert desk.plane.project("default").webhook_url is None


def test_of_a_webhook_the_page_shows_where_it_goes_and_saves_the_rest_as_it_was(desk: Desk) -> None:
    app = open_page("project", desk)
    for path in ("secret-1", "secret-2"):
        setting(app.text_input, "webhook_url").input(f"https://hooks.example.org/{path}")
        pressed(app, "Save")
        assert setting(app.text_input, "webhook_url").value == "https://hooks.example.org/…"
        assert path not in words_of(app)
    changes = len(desk.plane.control_log("default"))
    setting(app.text_input, "name").input("Other")
    pressed(app, "Save")
    assert [entry.subject for entry in desk.plane.control_log("default")[: -changes or None]] == ["name"]


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
    assert "The text being written" in words_of(app)
    assert "Rule <b>policy#1</b> (1 of 1) decides" in words_of(app)
    assert "The text being written" not in before


def test_a_rule_that_never_decides_shows_with_a_call_and_what_rests_on_order_beside_it(desk: Desk) -> None:
    app = open_page("policies", desk)
    text = "rules:\n- {effect: allow, action: 'db:*'}\n- {effect: deny, action: 'db:drop', conditions: {args.rows: {gt: 10}}}\n- {effect: deny, action: '*'}\n"
    app.text_area(key="policy-default-text").input(text).run()
    said = Markup(words_of(app)).striptags()
    assert "rules[1] line 3" in said
    assert "can never decide; rules[0] (allow) before it" in said
    assert 'Such as db:drop, arguments {"rows":11}: allow, by rules[0].' in said
    assert "What rests on the order of its rules (1)" in [expander.label for expander in app.expander]
    assert "Such as db:x: allow, by rules[0]." in said


def test_a_candidate_is_remarked_on_too(tmp_path: Path) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=10**15, per_day=5).home, actor="ada"))
    app = open_page("rollout", desk)
    app.text_area(key="candidate-default-text").input("rules:\n- {effect: allow, action: 'db:*'}\n- {effect: deny, action: '*'}\n").run()
    assert "Such as db:x: allow, by rules[0]." in Markup(words_of(app)).striptags()
    assert "could not be drawn" not in words_of(app)
    desk.close()


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


def test_a_secret_is_set_and_its_value_is_nowhere_after(desk: Desk) -> None:
    app = open_page("secrets", desk)
    assert "No secret yet" in words_of(app)
    app.text_input(key="secret-name-0").input("OPENAI_API_KEY")
    app.text_input(key="secret-value-0").input("sk-a-very-secret-value")
    app.text_input(key="secret-why-0").input("the support bot")
    pressed(app, "Set it")
    (secret,) = desk.plane.list_secrets("default")
    assert (secret.name, secret.version, secret.updated_by) == ("OPENAI_API_KEY", 1, "ada")
    assert "OPENAI_API_KEY" in words_of(app)
    assert "never read" in words_of(app)
    everything = words_of(app) + repr(app.session_state) + str([widget.value for widget in app.text_input])
    assert "sk-a-very-secret-value" not in everything
    assert "sk-a-very-secret-value" not in str(desk.plane.control_log("default"))


def test_a_secret_is_for_all_environments_or_for_the_one_that_is_chosen_and_a_key_is_asked_for_likewise(desk: Desk) -> None:
    desk.plane.add_environment("default", "staging", actor="ada")
    app = open_page("secrets", desk)
    for turn, environment in enumerate(("all of them", "staging")):
        app.text_input(key=f"secret-name-{turn}").input("TOKEN")
        app.text_input(key=f"secret-value-{turn}").input("x")
        app.selectbox(key=f"secret-environment-{turn}").select(environment)
        pressed(app, "Set it")
    assert {secret.environment for secret in desk.plane.list_secrets("default")} == {None, "staging"}
    app = open_page("keys", desk)
    pressed(app, "Make a key …")
    assert app.selectbox(key="key-environment").options == ["all of them", "staging"]


def test_a_secret_under_no_name_is_refused_with_what_was_expected(desk: Desk) -> None:
    app = open_page("secrets", desk)
    app.text_input(key="secret-name-0").input("not a name")
    app.text_input(key="secret-value-0").input("x")
    pressed(app, "Set it")
    assert "expected 1 to 100 of A-Z" in words_of(app)
    assert desk.plane.list_secrets("default") == []


def test_deleting_a_secret_asks_first(desk: Desk) -> None:
    desk.plane.set_secret("default", "TOKEN", "value", actor="ada")
    app = open_page("secrets", desk)
    pressed(app, "Delete …")
    assert "those that run keep it until they end" in words_of(app)
    assert [secret.name for secret in desk.plane.list_secrets("default")] == ["TOKEN"]


def test_a_tool_is_declared_and_shown_without_the_values_of_its_headers(desk: Desk) -> None:
    app = open_page("tools", desk)
    app.text_input(key="tool-name").input("database")
    app.text_input(key="tool-place-http").input("https://tools.example.org/database")
    app.text_input(key="tool-given-http").input('{"Authorization": "Bearer written-down-here"}')
    pressed(app, "Declare it")
    (tool,) = desk.plane.list_tools("default")
    assert (tool.name, tool.timeout_s) == ("database", 30.0)
    assert "https://tools.example.org/database" in words_of(app)
    assert "headers Authorization" in words_of(app)
    assert "written-down-here" not in words_of(app)


def test_a_command_is_split_as_a_shell_does() -> None:
    tool = tool_of("mcp-stdio", "files", "npx -y 'some server' /data", '{"TOKEN": "${secret:T}"}', 5)
    assert tool == McpCommandTool(name="files", command=("npx", "-y", "some server", "/data"), env={"TOKEN": "${secret:T}"}, timeout_s=5)


@pytest.mark.parametrize(
    ("kind", "place", "given", "said"),
    [
        ("http", "ftp://x.example", "", "url"),
        ("http", "https://x.example", "[1]", "expected a JSON object of texts"),
        ("mcp-stdio", "npx 'open", "", "quote it as in a shell"),
        ("mcp-stdio", "", "", "command"),
    ],
)
def test_a_tool_that_cannot_be_is_refused(kind: str, place: str, given: str, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        tool_of(kind, "database", place, given, 30)


def test_members_are_added_and_their_removal_says_what_follows(desk: Desk) -> None:
    app = open_page("members", desk)
    app.text_input(key="member-name").input("grace@example.org")
    app.selectbox(key="member-role").select("editor")
    pressed(app, "Add")
    assert [(member.name, member.role) for member in desk.plane.list_members()] == [("grace@example.org", "editor")]
    pressed(app, "Remove …")
    assert "The keys of <b>grace@example.org</b> are revoked now" in words_of(app)
    assert len(desk.plane.list_members()) == 1


def test_members_are_those_of_the_projects_organisation_and_a_key_is_asked_for_likewise(desk: Desk) -> None:
    desk.plane.create_organisation("acme", actor="ada")
    desk.plane.create_project("shop", organisation_id="acme", actor="ada")
    desk.plane.set_member("grace", "viewer", organisation_id="acme", actor="ada")
    desk.plane.set_member("alan", "owner", actor="ada")
    app = open_page("members", desk, project="shop")
    assert "1 member</b> of organisation <b>acme" in words_of(app)
    assert "alan" not in words_of(app)
    app.text_input(key="member-name").input("edsger")
    pressed(app, "Add")
    assert [member.name for member in desk.plane.list_members("acme")] == ["edsger", "grace"]
    assert [member.name for member in desk.plane.list_members()] == ["alan"]
    app = open_page("keys", desk, project="shop")
    pressed(app, "Make a key …")
    assert app.selectbox(key="key-member").options == ["nobody", "edsger", "grace"]


def test_a_rotated_key_says_until_when_it_is_good_and_is_not_offered_again(desk: Desk) -> None:
    _, old = desk.plane.create_key(["default"], name="support bot", actor="ada")
    desk.plane.rotate_key(old.key_id, actor="ada", grace_s=3_600)
    app = open_page("keys", desk)
    assert "rotated, good until" in words_of(app)
    assert f"key-rotate-{old.key_id}" not in [button.key for button in app.button]
    assert "support bot" in words_of(app)


def test_a_key_ends_by_revocation_or_by_its_time(desk: Desk) -> None:
    _, key = desk.plane.create_key(["default"], actor="ada")
    assert state_of(key, now_us=5) == "active"
    assert state_of(replace(key, expires_at=5), now_us=5) == "expired"
    assert state_of(replace(key, expires_at=5, revoked_at=4), now_us=5) == "revoked"


def test_an_address_of_an_archived_project_says_so_and_how_to_take_it_back(tmp_path: Path) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=10**15, per_day=5).home, actor="ada"))
    desk.plane.archive_project("payments", actor="ada")
    words = words_of(open_page("overview", desk, project="payments"))
    assert "Project payments is archived" in words
    assert "cz project restore payments" in words
    desk.close()


def test_the_lines_that_connect_a_first_agent_name_the_data_folder_and_lead_to_a_key(desk: Desk) -> None:
    app = open_page("overview", desk)
    assert f"cz keys create --project default --home {desk.settings.home}" in app.code[0].value
    assert "keys?project=default" in words_of(app)


def test_every_scope_a_key_can_have_is_said_in_words() -> None:
    assert set(SCOPE_WORDS) == set(get_args(Scope))


def test_an_environment_is_added_and_its_removal_says_what_follows(desk: Desk) -> None:
    app = open_page("project", desk)
    app.text_input(key="environment-name").input("staging")
    app.text_input(key="environment-why").input("before production")
    pressed(app, "Add")
    assert [each.name for each in desk.plane.list_environments("default")] == ["staging"]
    assert desk.plane.control_log("default", limit=1)[0].why == "before production"
    pressed(app, "Remove …")
    assert "No key and no secret can be made for <b>staging</b> from now on" in words_of(app)
    assert len(desk.plane.list_environments("default")) == 1


def pressed(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
