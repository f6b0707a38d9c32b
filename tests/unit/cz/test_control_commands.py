"""The commands that change things: what they print, to people and to programs, and what they refuse."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cyclopts
import pytest

from controlzero.bundle import verify
from controlzero.errors import PolicyError, Rejected
from controlzero.secrets_on_disk import trusted_keys
from cz import control_log, keys, modes, policies, projects

POLICY = """
name: support
rules:
  - {id: models, effect: allow, action: llm.generate}
  - {id: refunds, effect: deny, action: tool.call, resource: tool/issue_refund}
"""
STRICTER = POLICY.replace("effect: allow", "effect: deny")
Run = Callable[..., str]
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command over a data folder of its own and return what it printed."""

    def run(app: cyclopts.App, *tokens: str) -> str:
        app([*tokens, "--home", str(tmp_path / "home")], result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


@pytest.fixture
def demo(run: Run, tmp_path: Path) -> Path:
    """Make a project `demo` with a policy; return the policy's file."""
    file = tmp_path / "support.yaml"
    file.write_text(POLICY)
    run(projects.app, "create", "demo", "--as", "ada")
    run(policies.app, "apply", str(file), "--as", "ada", "--why", "a start")
    return file


def told(run: Run, app: cyclopts.App, *tokens: str) -> Any:
    """Run a command with --json and return what it says: one JSON value on one line."""
    out = run(app, *tokens, "--json")
    assert out.count("\n") == 1
    return json.loads(out)


@pytest.mark.parametrize(("app", "token"), [(keys.app, "list"), (projects.app, "list"), (policies.app, "versions"), (modes.app, "show")])
def test_without_a_data_folder_a_command_says_how_to_start_and_makes_none(run: Run, tmp_path: Path, app: cyclopts.App, token: str) -> None:
    with pytest.raises(Rejected, match="cz up"):
        run(app, token)
    assert not (tmp_path / "home").exists()


def test_empty_states_say_what_to_do_next(run: Run) -> None:
    run(projects.app, "create", "demo")
    assert "cz keys create" in run(keys.app, "list")
    assert "cz policy apply" in run(policies.app, "versions")
    assert "cz policy candidate add" in run(policies.app, "candidate", "list")
    assert "none yet: cz policy apply" in run(projects.app, "show")


def test_a_key_is_shown_to_a_person_with_a_warning_and_never_listed(run: Run, tmp_path: Path) -> None:
    run(projects.app, "create", "demo")
    made = on_a_terminal("cz.keys", ["create", "--home", str(tmp_path / "home")])
    secret = next(word for word in made.split() if word.startswith("cz_live_"))
    assert "only time" in made
    assert f"export CONTROLZERO_API_KEY={secret}" in made
    assert secret not in run(keys.app, "list") + run(control_log.app) + run(keys.app, "list", "--json")


@pytest.mark.parametrize(("tokens", "is_told"), [((), True), (("--quiet",), False)])
def test_to_a_program_a_key_is_the_only_word(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], tokens: tuple[str, ...], is_told: bool
) -> None:
    run(projects.app, "create", "demo")
    keys.app(["create", *tokens, "--home", str(tmp_path / "home")], result_action="return_value")
    said = capsys.readouterr()
    assert re.fullmatch(r"cz_live_\S+\n", said.out)
    assert ("only time" in said.err) == is_told


def test_a_key_is_revoked_by_the_id_the_list_shows(run: Run) -> None:
    run(projects.app, "create", "demo")
    key = told(run, keys.app, "create", "--project", "demo", "--test")["key"]
    assert key["key_id"] in run(keys.app, "list")
    assert "is revoked" in run(keys.app, "revoke", key["key_id"])
    assert "revoked 20" in run(keys.app, "list", "--all")
    assert [one["revoked_at"] is None for one in told(run, keys.app, "list", "--all")] == [False]


def test_revoked_keys_are_not_listed_and_not_forgotten(run: Run) -> None:
    run(projects.app, "create", "demo")
    revoked, kept = (told(run, keys.app, "create")["key"]["key_id"] for _ in range(2))
    run(keys.app, "revoke", revoked)
    listed = run(keys.app, "list")
    assert kept in listed
    assert revoked not in listed
    assert "Not shown: 1 revoked; cz keys list --all" in listed
    run(keys.app, "revoke", kept)
    assert "There is no key in use" in run(keys.app, "list")


def test_an_applied_policy_says_what_follows_in_the_projects_mode(run: Run, demo: Path) -> None:
    assert "Nothing was changed" in run(policies.app, "apply", str(demo))
    assert "nothing is stopped" in run(policies.app, "apply", str(_written(demo, STRICTER)))
    run(modes.app, "set", "enforce", "--yes")
    assert "is stopped as soon as" in run(policies.app, "apply", str(_written(demo, POLICY)))


def test_a_bad_policy_is_refused_with_every_place(run: Run, demo: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        run(policies.app, "apply", str(_written(demo, "rules: [{effect: alow, action: '*'}, {effct: deny}]")))
    assert {problem.path for problem in refused.value.problems} >= {"rules[0].effect", "rules[1].effect"}


DOUBTFUL = """
rules:
  - {effect: deny, action: "*"}
  - effect: allow
    action: llm:*
"""


def test_a_policy_is_checked_for_what_is_hardly_meant(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(DOUBTFUL)
    said = run(policies.app, "validate", str(tmp_path / "shop.yaml"))
    assert "shop.yaml: denies everything" in said
    assert "shop.yaml: can never decide at `rules[1]` (line 4)" in said
    assert "It can be applied" in said
    warnings = told(run, policies.app, "validate", str(tmp_path / "shop.yaml"))["warnings"]
    assert [(warning["path"], warning["line"]) for warning in warnings] == [("", None), ("rules[1]", 4)]


def test_an_applied_policy_is_in_force_whatever_it_is_warned_of(run: Run, demo: Path) -> None:
    said = run(policies.app, "apply", str(_written(demo, DOUBTFUL)))
    assert "! can never decide" in said
    assert "version 2 is in force" in said
    again = told(run, policies.app, "apply", str(_written(demo, DOUBTFUL)))
    assert (again["changed"], len(again["warnings"])) == (False, 2)


def test_where_a_project_enforces_a_policy_that_denies_everything_is_confirmed(run: Run, demo: Path) -> None:
    run(modes.app, "set", "enforce", "--yes")
    with pytest.raises(Rejected, match="nobody is there to ask; say --yes"):
        run(policies.app, "apply", str(_written(demo, DOUBTFUL)), "--json")
    assert told(run, projects.app, "show")["version"] == 2
    assert "version 3 is in force" in run(policies.app, "apply", str(_written(demo, DOUBTFUL)), "--yes")
    assert "in force already" in run(policies.app, "apply", str(_written(demo, DOUBTFUL)))


@pytest.mark.parametrize(("answer", "version"), [("n", 2), ("y", 3)])
def test_a_person_is_asked_before_everything_is_denied(run: Run, demo: Path, tmp_path: Path, answer: str, version: int) -> None:
    run(modes.app, "set", "enforce", "--yes")
    ended = answered("cz.policies", ["apply", str(_written(demo, DOUBTFUL)), "--home", str(tmp_path / "home")], answer)
    assert "every action of its agents is stopped" in ended.stdout
    assert told(run, projects.app, "show")["version"] == version
    assert ("keeps the policy it has" in ended.stderr) == (answer == "n")


def test_a_file_that_is_not_there_is_a_sentence(run: Run, demo: Path) -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        run(policies.app, "apply", str(demo / "nowhere"))


def test_a_shown_policy_can_be_applied_again(run: Run, demo: Path) -> None:
    shown = run(policies.app, "show")
    assert told(run, policies.app, "apply", str(_written(demo, shown)))["changed"] is False


def test_a_policy_is_taken_from_standard_input(run: Run, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(STRICTER))
    assert told(run, policies.app, "apply", "-")["version"] == 2


def test_a_policy_without_a_name_is_named_for_its_file(run: Run, demo: Path) -> None:
    run(policies.app, "apply", str(_written(demo, "rules: [{effect: allow, action: '*'}]")))
    assert told(run, policies.app, "show")["policies"][0]["name"] == "other"


def test_versions_and_their_difference(run: Run, demo: Path) -> None:
    run(policies.app, "apply", str(_written(demo, STRICTER)), "--as", "bob", "--why", "models cost")
    listed = run(policies.app, "versions")
    assert "2 ●" in listed
    assert "models cost" in listed
    assert told(run, policies.app, "diff", "1", "2")["lines"][-5:-3] == ["-  effect: allow", "+  effect: deny"]
    assert "say the same" in run(policies.app, "diff", "1", str(demo))
    assert "-  effect: deny" in run(policies.app, "diff", str(demo))
    assert "effect: deny" not in run(policies.app, "show", "1").split("- id: refunds")[0]


def test_an_exported_bundle_is_one_that_agents_verify(run: Run, demo: Path, tmp_path: Path) -> None:
    run(policies.app, "export", str(tmp_path / "demo.czpolicy"))
    bundle = verify((tmp_path / "demo.czpolicy").read_bytes(), trusted_keys(tmp_path / "home"))
    assert (bundle.project_id, bundle.version) == ("demo", 1)


def test_the_life_of_a_candidate(run: Run, demo: Path) -> None:
    added = told(run, policies.app, "candidate", "add", str(_written(demo, STRICTER)))
    assert "judged in shadow" in run(policies.app, "candidate", "list")
    assert "version 2 is in force" in run(policies.app, "candidate", "promote", added["digest"][:12])
    assert "has no candidate" in run(policies.app, "candidate", "list")
    assert "promoted" in run(policies.app, "candidate", "list", "--all")


def test_a_candidate_that_denies_everything_is_confirmed_where_a_project_enforces(run: Run, demo: Path) -> None:
    added = told(run, policies.app, "candidate", "add", str(_written(demo, DOUBTFUL)))
    run(modes.app, "set", "enforce", "--yes")
    with pytest.raises(Rejected, match="nobody is there to ask; say --yes"):
        run(policies.app, "candidate", "promote", added["digest"][:12])
    assert "is in force" in run(policies.app, "candidate", "promote", added["digest"][:12], "--yes")


def test_a_mode_is_not_set_where_nobody_can_be_asked(run: Run, demo: Path) -> None:
    with pytest.raises(Rejected, match="--yes"):
        run(modes.app, "set", "enforce")
    assert told(run, modes.app, "show")["mode"] == "log-only"


def test_a_mode_is_set_with_yes_and_is_on_the_control_log(run: Run, demo: Path) -> None:
    assert "log-only → enforce" in run(modes.app, "set", "enforce", "--yes", "--as", "bob", "--why", "ready")
    entry = told(run, control_log.app, "--limit", "1")[0]
    assert (entry["actor"], entry["action"], entry["from"], entry["to"], entry["why"]) == (
        "bob",
        "mode.set",
        "log-only",
        "enforce",
        "ready",
    )
    assert "is enforce already" in run(modes.app, "set", "enforce")


@pytest.mark.parametrize(("answer", "mode"), [("n", "log-only"), ("y", "enforce")])
def test_a_person_is_told_the_consequence_and_asked(run: Run, demo: Path, tmp_path: Path, answer: str, mode: str) -> None:
    ended = answered("cz.modes", ["set", "enforce", "--home", str(tmp_path / "home")], answer)
    said = " ".join(ended.stdout.replace("│", " ").split())
    assert "every action a rule denies and every action that no rule matches" in said
    assert told(run, modes.app, "show")["mode"] == mode
    assert ("nothing was changed" in ended.stderr) == (answer == "n")


def test_the_life_of_an_archived_project(run: Run, demo: Path) -> None:
    run(projects.app, "create", "other")
    assert "keys are refused" in run(projects.app, "archive", "demo", "--why", "replaced")
    assert "archived already" in run(projects.app, "archive", "demo")
    assert "demo" not in run(projects.app, "list")
    assert "archived" in run(projects.app, "list", "--all")
    assert "archived" in run(projects.app, "show", "demo")
    assert told(run, modes.app, "show")["project_id"] == "other"  # the only one there is
    assert told(run, projects.app, "restore", "demo") == {"project_id": "demo", "changed": True}
    assert "is not archived" in run(projects.app, "restore", "demo")
    assert "demo" in run(projects.app, "list")


def test_settings_are_changed_and_shown(run: Run, demo: Path) -> None:
    run(projects.app, "set", "--retention.decision", "90", "--retention.quarantine", "none", "--on-stale", "deny", "--bundle-days", "30")
    project = told(run, projects.app, "show")
    assert (project["retention_days"], project["on_stale"], project["bundle_days"]) == ({"decision": 90}, "deny", 30)
    assert "decision 90 days, quarantine 7 days, the rest for ever" in run(projects.app, "show"), "quarantine has a time of its own"
    assert "has these settings already" in run(projects.app, "set", "--on-stale", "deny")


@pytest.mark.parametrize(
    "tokens",
    [
        (),
        ("--retention.tally", "7"),
        ("--retention.decision", "soon"),
        ("--bundle-days", "-1"),
        ("--webhook-url", "example.org"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(run: Run, demo: Path, tokens: tuple[str, ...]) -> None:
    before = told(run, projects.app, "show")
    with pytest.raises(Rejected):
        run(projects.app, "set", *tokens)
    assert told(run, projects.app, "show") == before


def test_a_word_the_command_line_does_not_know_is_a_usage_error(run: Run, demo: Path) -> None:
    with pytest.raises(cyclopts.CycloptsError):
        run(modes.app, "set", "on")


def test_among_several_projects_one_must_be_named(run: Run, demo: Path) -> None:
    run(projects.app, "create", "other")
    with pytest.raises(Rejected, match="demo, other"):
        run(modes.app, "show")
    assert told(run, modes.app, "show", "--project", "other")["mode"] == "log-only"


@pytest.mark.parametrize("app", [projects.app, keys.app, policies.app, modes.app, control_log.app])
def test_every_command_explains_itself_with_an_example(app: cyclopts.App, capsys: pytest.CaptureFixture[str]) -> None:
    for command in _commands(app):
        command.help_print([])
        said = capsys.readouterr().out
        assert "Example:" in said
        assert "--json" in said


def answered(module: str, tokens: list[str], answer: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process whose standard input is a terminal on which `answer` is typed."""
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    ended = subprocess.run(
        [sys.executable, "-c", f"from {module} import app; app({tokens!r})"],
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    os.close(ours)
    os.close(theirs)
    return ended


def on_a_terminal(module: str, tokens: list[str]) -> str:
    """Run a command in a process whose standard output is a terminal, and return what it shows."""
    ours, theirs = os.openpty()
    running = subprocess.Popen([sys.executable, "-c", f"from {module} import app; app({tokens!r})"], stdout=theirs, cwd=REPOSITORY)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # that the other end is closed
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert running.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


def _commands(app: cyclopts.App) -> list[cyclopts.App]:
    if app.default_command is not None:
        return [app]
    names = [name for name in app if not name.startswith("-")]
    return [command for name in names for command in _commands(app[name])]


def _written(beside: Path, text: str) -> Path:
    file = beside.with_name("other.yaml")
    file.write_text(text)
    return file


def test_a_reason_does_nothing_to_the_terminal_it_is_shown_on(run: Run, demo: Path) -> None:
    run(modes.app, "set", "off", "--yes", "--project", "demo", "--as", "ada", "--why", "all\x1b[2J gone \u202etxt")
    assert "all\\x1b[2J gone \\u202etxt" in " ".join(run(control_log.app, "--project", "demo").split())
