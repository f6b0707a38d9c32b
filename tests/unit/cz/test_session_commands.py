"""The commands for what agents' sessions bring, and for who may do what: secrets, tools, members, environments, scopes of keys."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cyclopts
import pytest

from controlplane.model import DEFAULT_SCOPES
from controlzero.errors import Rejected
from cz import environments_command, keys, members_command, modes, organisations_command, policies, projects, secrets_command, tools_command

Run = Callable[..., str]
VALUE = "sk_live_0123456789"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command over a data folder of its own and return all it printed."""

    def run(app: cyclopts.App, *tokens: str) -> str:
        app([*tokens, "--home", str(tmp_path / "home")], result_action="return_value", exit_on_error=False)
        printed = capsys.readouterr()
        return printed.out + printed.err

    run(projects.app, "create", "demo", "--as", "ada")
    return run


def told(run: Run, app: cyclopts.App, *tokens: str) -> Any:
    out = run(app, *tokens, "--json")
    assert out.count("\n") == 1
    return json.loads(out)


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Have standard input hold that."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_secret_comes_from_standard_input_and_is_never_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, f"{VALUE}\n".encode())
    printed = run(secrets_command.app, "set", "STRIPE_KEY", "--why", "payments")
    printed += run(secrets_command.app, "list") + json.dumps(told(run, secrets_command.app, "list"))
    assert "STRIPE_KEY" in printed
    assert VALUE not in printed
    for file in (tmp_path / "home").rglob("*"):
        assert file.is_dir() or VALUE.encode() not in file.read_bytes()
    given(monkeypatch, VALUE.encode())
    assert told(run, secrets_command.app, "set", "STRIPE_KEY")["version"] == 2
    assert "destroyed" in run(secrets_command.app, "rotate-key")
    assert "is deleted" in run(secrets_command.app, "delete", "STRIPE_KEY")
    assert "cz secrets set" in run(secrets_command.app, "list")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 20_000])
def test_a_secret_that_is_none_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    given(monkeypatch, content)
    with pytest.raises(Rejected, match="secret `A`"):
        run(secrets_command.app, "set", "A")
    assert told(run, secrets_command.app, "list") == []


def test_a_value_on_the_command_line_is_not_taken(run: Run) -> None:
    with pytest.raises(cyclopts.CycloptsError):
        run(secrets_command.app, "set", "STRIPE_KEY", VALUE)


def test_a_tool_is_declared_by_options_or_by_a_file(run: Run, tmp_path: Path) -> None:
    header = "Authorization: Bearer ${secret:KEY}"
    http = told(run, tools_command.app, "set", "refunds", "--url", "https://example.org/r", "--header", header)
    assert http == {
        "changed": True,
        "tool": {
            "kind": "http",
            "name": "refunds",
            "url": "https://example.org/r",
            "headers": {"Authorization": "Bearer ${secret:KEY}"},
            "timeout_s": 30.0,
        },
    }
    stdio = told(run, tools_command.app, "set", "files", "--mcp", "--command", "npx -y 'a server' /srv", "--env", "TOKEN=${secret:T}")
    assert (stdio["tool"]["command"], stdio["tool"]["env"]) == (["npx", "-y", "a server", "/srv"], {"TOKEN": "${secret:T}"})
    file = tmp_path / "tool.json"
    file.write_text(json.dumps({"kind": "mcp-http", "url": "https://example.org/mcp"}))
    assert told(run, tools_command.app, "set", "docs", "--file", str(file))["tool"]["kind"] == "mcp-http"
    assert not told(run, tools_command.app, "set", "docs", "--url", "https://example.org/mcp", "--mcp")["changed"]
    assert [tool["name"] for tool in told(run, tools_command.app, "list")] == ["docs", "files", "refunds"]
    assert "https://example.org/r" in run(tools_command.app, "list")
    assert "is deleted" in run(tools_command.app, "delete", "docs")


@pytest.mark.parametrize(
    "tokens",
    [
        (),
        ("--url", "https://example.org", "--command", "npx"),
        ("--command", "'open"),
        ("--url", "nowhere"),
        ("--url", "https://example.org", "--header", "no colon"),
    ],
)
def test_a_tool_that_is_none_is_refused_with_a_way_out(run: Run, tokens: tuple[str, ...]) -> None:
    with pytest.raises(Rejected, match=r"expected|say one of"):
        run(tools_command.app, "set", "t", *tokens)


def test_a_key_has_the_scopes_it_is_made_with_and_those_of_an_agent_else(run: Run) -> None:
    agent = told(run, keys.app, "create", "--name", "bot")["key"]
    ci = told(run, keys.app, "create", "--name", "ci", "--scope", "control:read", "--scope", "control:write")["key"]
    assert (agent["scopes"], ci["scopes"]) == (list(DEFAULT_SCOPES), ["control:read", "control:write"])
    assert "control:read control:write" in run(keys.app, "list")


def test_a_rotated_key_goes_on_for_its_grace_and_the_list_says_so(run: Run) -> None:
    old = told(run, keys.app, "create", "--name", "bot")["key"]
    new = told(run, keys.app, "rotate", old["key_id"], "--grace-minutes", "60")
    assert (new["key"]["name"], new["key"]["scopes"], new["secret"][:12]) == ("bot", old["scopes"], new["key"]["prefix"])
    assert f"rotated to {new['key']['key_id']}" in run(keys.app, "list")


def test_a_member_has_a_role_and_the_keys_of_that_member_no_more(run: Run) -> None:
    assert "may change everything" in run(members_command.app, "list")
    run(members_command.app, "set", "bob", "viewer")
    with pytest.raises(Rejected, match="beyond what the role of `bob` allows"):
        run(keys.app, "create", "--member", "bob", "--scope", "control:write")
    key = told(run, keys.app, "create", "--member", "bob", "--scope", "control:read")["key"]
    assert [member["role"] for member in told(run, members_command.app, "list")] == ["viewer"]
    run(members_command.app, "remove", "bob")
    assert [one["revoked_at"] is not None for one in told(run, keys.app, "list", "--all") if one["key_id"] == key["key_id"]] == [True]


def test_a_project_of_another_organisation_is_out_of_reach_of_its_keys(run: Run) -> None:
    run(organisations_command.app, "create", "north", "--name", "Northern branch")
    run(projects.app, "create", "there", "--organisation", "north")
    assert "Northern branch" in run(organisations_command.app, "list")
    with pytest.raises(Rejected, match="default, north"):
        run(keys.app, "create", "--project", "demo", "--project", "there")
    with pytest.raises(Rejected, match="not found"):
        run(projects.app, "create", "elsewhere", "--organisation", "south")


def test_an_environment_is_there_before_keys_and_secrets_are_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match="none such"):
        run(keys.app, "create", "--environment", "staging")
    run(environments_command.app, "add", "staging")
    assert told(run, keys.app, "create", "--environment", "staging")["key"]["environment"] == "staging"
    given(monkeypatch, b"value")
    assert told(run, secrets_command.app, "set", "A", "--environment", "staging")["environment"] == "staging"
    with pytest.raises(Rejected, match="1 secret and 1 key are for it"):
        run(environments_command.app, "remove", "staging")
    assert "staging" in run(environments_command.app, "list")


def test_a_rule_only_logs_until_it_follows_its_project_again(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("name: p\nrules:\n  - {id: no-refunds, effect: deny, action: refund}\n  - {effect: allow, action: '*'}\n")
    run(policies.app, "apply", str(file))
    assert "only logs" in run(modes.app, "rule", "no-refunds", "log-only", "--why", "try it")
    assert "mode: log-only" in run(policies.app, "show")
    assert "already" in run(modes.app, "rule", "no-refunds", "log-only")
    assert "follows its project" in run(modes.app, "rule", "p#1", "project")
    with pytest.raises(Rejected, match="there are: no-refunds, p#2"):
        run(modes.app, "rule", "gone", "log-only")
