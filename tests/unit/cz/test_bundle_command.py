"""`cz bundle`: signing without a server, verifying before believing, rotating the key."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cyclopts
import pytest

from controlzero import BundleRollbackError, BundleTamperError, BundleVerificationError, Client, Rejected, Tampered
from cz import bundle_command, policies, projects

POLICY = 'rules:\n  - {effect: allow, action: "llm:*"}\n'
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder of its own and return what it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "support.yaml").write_text(POLICY)

    def run(*tokens: str, app: cyclopts.App = bundle_command.app) -> str:
        app([*tokens, "--home", str(tmp_path / "home")], result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def signed(run: Run, *tokens: str) -> Any:
    if not Path("offline.key").exists():
        run("new-key", "offline.key")
    return json.loads(run("sign", "support.yaml", "-p", "bot", "-k", "offline.key", "-o", "bot.czpolicy", "--json", *tokens))


def test_a_policy_is_signed_without_a_server_and_an_agent_judges_by_it(run: Run, tmp_path: Path) -> None:
    said = signed(run, "--days", "30", "--on-stale", "deny")
    assert (said["project_id"], said["version"], said["mode"], said["rules"], said["on_stale"]) == ("bot", 1, "enforce", 1, "deny")
    assert said["expires_at"] - said["issued_at"] == 30 * 86_400_000_000
    assert stat.S_IMODE((tmp_path / "offline.key").stat().st_mode) == 0o600
    with Client(policy_file="bot.czpolicy", spool=tmp_path / "spool") as cz:
        assert (cz.project_id, cz.guard("llm", "generate").allowed, cz.guard("shell", "run").allowed) == ("bot", True, False)


def test_verify_tells_version_age_and_key(run: Run) -> None:
    said = signed(run)
    out = run("verify", "bot.czpolicy")
    assert "✓ bot.czpolicy: whole, and signed by" in out
    assert said["signed_by"][0] in out
    for line in ("version", "never", "enforce", "bot"):
        assert line in out
    assert json.loads(run("verify", "bot.czpolicy", "--json")) == said


def test_a_bundle_past_its_age_is_verified_and_said_to_be(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    signed(run, "--days", "1")
    later = json.loads(run("show", "bot.czpolicy", "--json"))["bundle"]["expires_at"] * 1000
    monkeypatch.setattr("time.time_ns", lambda: later)
    assert "past its age since" in run("verify", "bot.czpolicy")


def test_what_was_changed_cut_or_signed_by_a_stranger_is_refused(run: Run) -> None:
    signed(run)
    whole = Path("bot.czpolicy").read_bytes()
    for damaged in (whole[:-1], whole[:40] + b"x" + whole[41:], b"", b"not a bundle"):
        Path("bot.czpolicy").write_bytes(damaged)
        with pytest.raises(BundleTamperError):
            run("verify", "bot.czpolicy")
    Path("bot.czpolicy").write_bytes(whole)
    run("new-key", "other.key")
    with pytest.raises(BundleVerificationError, match="expected one of"):
        run("verify", "bot.czpolicy", "--keys", "other.pub")
    with pytest.raises(Tampered, match="for project `bot`, expected `shop`"):
        run("verify", "bot.czpolicy", "--project", "shop")
    Path("bot.pub").unlink()
    with pytest.raises(Rejected, match="--keys FILE"):
        run("verify", "bot.czpolicy")


def test_versions_rise_by_themselves_and_never_go_back(run: Run) -> None:
    assert [signed(run)["version"] for _ in range(3)] == [1, 2, 3]
    assert signed(run, "--version", "9")["version"] == 9
    with pytest.raises(BundleRollbackError, match="version 9 is there"):
        signed(run, "--version", "9")


def test_show_needs_no_key(run: Run) -> None:
    signed(run)
    Path("bot.pub").unlink()
    assert "action: llm:*" in run("show", "bot.czpolicy")
    assert json.loads(run("show", "bot.czpolicy", "--json"))["policies"][0]["name"] == "support"


def test_a_key_is_never_overwritten_and_one_that_others_can_read_signs_nothing(run: Run) -> None:
    run("new-key", "offline.key")
    with pytest.raises(Rejected, match="never overwritten"):
        run("new-key", "offline.key")
    Path("offline.key").chmod(0o644)
    with pytest.raises(Tampered, match="lets others read it"):
        signed(run)
    with pytest.raises(Rejected, match="cz bundle new-key"):
        run("sign", "support.yaml", "-p", "bot", "-k", "none.key", "-o", "x.czpolicy")


def test_a_rotated_key_is_followed_by_an_agent_with_the_exported_file_before(run: Run, tmp_path: Path) -> None:
    run("create", "bot", app=projects.app)
    run("apply", "support.yaml", app=policies.app)
    run("export", "bot.czpolicy", app=policies.app)
    with Client(policy_file="bot.czpolicy", spool=tmp_path / "spool") as cz:
        assert cz.mode == "log-only"
    said = json.loads(run("rotate-key", "--json", "--why", "every year"))
    assert said["projects"] == ["bot"]
    assert f"endorsed by {said['key_id']}, which is deleted: 1 project signed anew" in run("rotate-key")
    run("export", "bot.czpolicy", app=policies.app)
    assert "version" in run("verify", "bot.czpolicy")
    with Client(policy_file="bot.czpolicy", spool=tmp_path / "spool") as cz:
        assert cz.guard("llm", "generate").verdict == "allow"


def test_several_policies_are_one_bundle_in_their_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text('rules:\n  - {effect: deny, action: "llm:*"}\n')
    run("new-key", "offline.key")
    run("sign", "first.yaml", "support.yaml", "-p", "bot", "-k", "offline.key", "-o", "bot.czpolicy")
    assert [one["name"] for one in json.loads(run("show", "bot.czpolicy", "--json"))["policies"]] == ["first", "support"]
