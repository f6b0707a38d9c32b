"""What a client judges by: a file, a server's bundle, the one kept on disk; and what it says where there is nothing."""

import json
import logging
import re
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlzero import (
    BundleRollbackError,
    BundleTamperError,
    BundleVerificationError,
    Client,
    PolicyError,
    Rejected,
    Unavailable,
)
from controlzero.errors import ControlZeroError
from controlzero.policy_file import local_governed
from controlzero.recorder.link import BundleReply, HttpLink
from controlzero.settings import BASE_URL, Settings, read_settings
from controlzero.source import ServedSource, kept_of
from controlzero.testing import InMemoryGateway, SettableClock
from controlzero.trust import key_list_lines
from tests.waiting import until

ALLOW = {"name": "open", "rules": [{"effect": "allow", "action": "*"}]}
DENY = {"name": "closed", "rules": [{"effect": "deny", "action": "*"}]}


def a_source(gateway: InMemoryGateway, spool: Path, *, clock: Callable[[], int], **given: Any) -> ServedSource:
    settings = Settings(api_key="cz_test_key", base_url="http://gateway", spool=spool, **given)
    return ServedSource(settings, HttpLink(settings.base_url, "cz_test_key", transport=gateway), clock=clock)


def started(
    gateway: InMemoryGateway, spool: Path, *, wait_s: float = 5.0, clock: Callable[[], int] | None = None, **given: Any
) -> ServedSource:
    source = a_source(gateway, spool, clock=clock or SettableClock(), **given)
    source.start(wait_s=wait_s)
    return source


def without_gateway() -> InMemoryGateway:
    gateway = InMemoryGateway()
    gateway.answers.extend([httpx.ConnectError("refused")] * 1_000)
    return gateway


# Settings


def test_arguments_beat_the_environment() -> None:
    settings = read_settings({"CONTROLZERO_API_KEY": "cz_live_a", "CONTROLZERO_PROJECT_ID": "p"}, api_key="cz_live_b")
    assert (settings.api_key, settings.project_id, settings.base_url) == ("cz_live_b", "p", BASE_URL)


def test_every_problem_is_told_at_once() -> None:
    environ = {"CONTROLZERO_MODE": "strict", "CONTROLZERO_BASE_URL": "gateway:8700", "CONTROLZERO_SPOOL_BYTES_MAX": "12"}
    with pytest.raises(Rejected) as raised:
        read_settings(environ)
    for part in (
        "nothing to judge by",
        "CONTROLZERO_API_KEY",
        "mode `strict`",
        "enforce, log-only, off",
        "base URL `gateway:8700`",
        "spool limit `12`",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize("key", ["cz_live_secret\n", "cz_live secret", "cz_live_sécret", "\u201ccz_live_secret\u201d"])
def test_what_no_header_carries_is_no_key_and_is_not_shown(key: str) -> None:
    with pytest.raises(Rejected, match=r"API key .*a line break.*cz keys create") as raised:
        read_settings({"CONTROLZERO_API_KEY": key})
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "given", "is_local"),
    [
        ({"CONTROLZERO_POLICY_FILE": "p.json"}, {"api_key": "cz_live_in_the_code"}, True),
        ({"CONTROLZERO_POLICY_FILE": "p.json", "CONTROLZERO_BASE_URL": "http://x"}, {"api_key": "cz_live_a"}, False),
        ({"CONTROLZERO_API_KEY": "cz_live_a", "CONTROLZERO_BASE_URL": "http://x"}, {"policy_file": "p.json"}, True),
        ({"CONTROLZERO_API_KEY": "cz_live_a"}, {}, False),
        ({"CONTROLZERO_POLICY_FILE": "p.json", "CONTROLZERO_API_KEY": "", "CONTROLZERO_BASE_URL": ""}, {}, True),
    ],
)
def test_a_policy_file_means_no_server_unless_one_is_configured_whole(
    environ: dict[str, str], given: dict[str, str], is_local: bool
) -> None:
    settings = read_settings(environ, **given)
    assert (settings.policy_file is not None, settings.api_key is None) == (is_local, is_local)


def test_a_user_without_a_home_spools_among_the_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: str) -> str:
        return "~/.controlzero/spool"  # what the system says where it knows no home

    monkeypatch.setattr("os.path.expanduser", no_home)
    assert "controlzero-spool-" in str(read_settings({"CONTROLZERO_API_KEY": "k"}).spool)


# Without a server


def test_settings_show_no_more_of_a_key_than_lists_of_keys_do() -> None:
    settings = read_settings({"CONTROLZERO_API_KEY": "cz_live_mg8zI7VXxSonRqfvGxu13M"})
    assert "api_key='cz_live_mg8z…', base_url='http://127.0.0.1:8700'" in repr(settings)
    assert "api_key=None" in repr(read_settings({"CONTROLZERO_POLICY_FILE": "p.yaml"}))


def test_a_folder_of_policies_is_selected_by_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, policy in (("proj_dev_001", ALLOW), ("proj_prod_001", DENY)):
        (tmp_path / f"{name}.json").write_text(json.dumps(policy))
    monkeypatch.setenv("CONTROLZERO_POLICY_FILE", str(tmp_path))
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    for name, allowed in (("proj_dev_001", True), ("proj_prod_001", False)):
        monkeypatch.setenv("CONTROLZERO_PROJECT_ID", name)
        with Client(api_key="cz_live_your_api_key_here") as cz:
            assert (cz.project_id, cz.mode, cz.guard("shell", "run").allowed) == (name, "enforce", allowed)


def test_the_mode_of_the_environment_counts_without_a_server_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text("rules:\n  - {effect: deny, action: '*'}\n")
    monkeypatch.setenv("CONTROLZERO_MODE", "log-only")
    with Client(policy_file=tmp_path / "p.yaml", spool=tmp_path / "spool") as cz:
        assert (cz.mode, cz.guard("shell", "run").allowed) == ("log-only", True)
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path / "spool") as cz:
        assert (cz.mode, cz.guard("shell", "run").allowed) == ("enforce", False)


def test_a_policy_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(ALLOW))
    (tmp_path / "sub").mkdir()
    with pytest.raises(Rejected, match=r"no `missing.json`; there is other"):
        Client(policy_file=tmp_path, project_id="missing", spool=tmp_path / "spool")
    with pytest.raises(Rejected, match="which project"):
        Client(policy_file=tmp_path, spool=tmp_path / "spool")
    with pytest.raises(Rejected, match="there is none"):
        Client(policy_file=tmp_path / "none.json", spool=tmp_path / "spool")
    with pytest.raises(Rejected, match=r"no `\.\./other\.json`"):
        Client(policy_file=tmp_path / "sub", project_id="../other", spool=tmp_path / "spool")


def test_a_policy_with_errors_raises_them_all(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"rules": [{"effect": "alow", "action": "*", "colour": 1}]}))
    with pytest.raises(PolicyError) as raised:
        Client(policy_file=tmp_path / "p.json", spool=tmp_path / "spool")
    assert len(raised.value.problems) == 2


def test_masks_compare_between_runs_under_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(ALLOW))
    for _ in range(2):
        with Client(policy_file=tmp_path / "p.json", spool=tmp_path / "spool") as cz:
            cz.guard("mail", "send", args={"to": "jane@example.com"})
    digests = {json.loads(path.read_bytes()[1:])["args_digest"] for path in (tmp_path / "spool").rglob("*.records")}
    assert len(digests) == 1
    assert stat.S_IMODE((tmp_path / "spool" / "keys" / "master.key").stat().st_mode) == 0o600


# A bundle in a file


def a_file(folder: Path, gateway: InMemoryGateway, *, pub: bool = True) -> Path:
    """Write the bundle that `gateway` serves, with the keys to verify it."""
    path = folder / "bot.czpolicy"
    path.write_bytes(gateway._czpolicy or b"")
    if pub:
        path.with_suffix(".pub").write_text("\n".join(key_list_lines(gateway._key_list)))
    return path


def test_a_bundle_in_a_file_judges_without_a_server(tmp_path: Path) -> None:
    path = a_file(tmp_path, InMemoryGateway(policy=DENY, mode="enforce", project_id="shop"))
    with Client(policy_file=path, spool=tmp_path / "spool", mode="off") as cz:
        assert (cz.project_id, cz.mode, cz.guard("shell", "run").allowed) == ("shop", "enforce", False)


def test_a_bundle_in_a_file_is_trusted_as_the_one_before_it(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY)
    older = gateway._czpolicy
    gateway.put_policy(ALLOW)
    settings = Settings(policy_file=a_file(tmp_path, gateway), spool=tmp_path / "spool")
    assert local_governed(settings).compiled.policies[0].name == "open"
    (tmp_path / "bot.czpolicy").write_bytes(older or b"")
    with pytest.raises(BundleRollbackError):
        local_governed(settings)
    stranger = InMemoryGateway(policy=DENY)
    stranger._version = 8
    stranger.put_policy(DENY)
    a_file(tmp_path, stranger)
    with pytest.raises(BundleVerificationError):
        local_governed(settings)
    gateway.rotate_signing_key()
    gateway.put_policy(DENY)
    a_file(tmp_path, gateway)
    assert local_governed(settings).compiled.policies[0].name == "closed"


def test_a_bundle_in_a_file_without_a_key_says_where_to_put_one(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY)
    path = a_file(tmp_path, gateway, pub=False)
    with pytest.raises(BundleVerificationError, match=r"put its `bot\.pub` beside it"):
        Client(policy_file=path, spool=tmp_path / "spool")
    (line,) = key_list_lines(gateway._key_list)
    assert local_governed(Settings(policy_file=path, spool=tmp_path / "spool", signing_key=line)).project_id == "default"


# With a server


def test_the_servers_bundle_and_mode_are_in_force_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="log-only")
    source = started(gateway, tmp_path)
    assert (source.governed.mode, source.governed.project_id) == ("log-only", "default")
    source.stop()
    until(lambda: any((tmp_path / "bundles").iterdir()))
    (kept,) = (tmp_path / "bundles").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_change_of_policy_or_mode_is_in_force_without_a_restart(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="log-only")
    source = started(gateway, tmp_path)
    before = source.governed.bundle_digest
    gateway.put_policy(ALLOW, mode="enforce")
    until(lambda: source.governed.mode == "enforce")
    assert source.governed.compiled.policies[0].name == "open"
    assert source.governed.bundle_digest != before
    source.stop()


def test_a_start_without_the_gateway_judges_by_the_bundle_kept_on_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = started(InMemoryGateway(policy=DENY, mode="enforce"), tmp_path)
    first.stop()
    until(lambda: any((tmp_path / "bundles").iterdir()))
    with caplog.at_level(logging.WARNING):
        source = started(without_gateway(), tmp_path)
    assert (source.governed.mode, source.governed.bundle_digest) == ("enforce", first.governed.bundle_digest)
    assert source.governed.masking.masked(b'"jane@example.com"') == first.governed.masking.masked(b'"jane@example.com"')
    assert "judging by the one kept on disk" in caplog.text
    source.stop()


def test_nothing_is_believed_that_somebody_else_put_into_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of theirs would be trusted, ours refused, and a policy of theirs judge."""
    spool = tmp_path / "spool"
    theirs = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")
    Client(api_key="cz_test_key", base_url="http://gateway", transport=theirs, spool=spool).close()
    monkeypatch.setattr("os.getuid", lambda: 12_345)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = InMemoryGateway(policy={"rules": [{"effect": "deny", "action": "*"}]}, mode="enforce")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=ours, spool=spool) as cz:
        assert cz.guard("database", method="drop").effect == "deny"


def test_a_start_without_gateway_and_bundle_raises_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="ConnectError: refused; is it up") as raised:
        started(without_gateway(), tmp_path, wait_s=0.05)
    assert raised.value.__cause__ is None
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert "httpx" not in str(frames)
    assert frames[-1].name == "start"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
@pytest.mark.parametrize("detail", ["", "Project `shop` has none. Apply one."])
def test_what_a_gateway_says_is_told_in_whole_sentences(status: int, detail: str) -> None:
    with pytest.raises(ControlZeroError) as raised:
        kept_of(BundleReply(status, detail), Settings(api_key="k"))
    said = str(raised.value)
    assert said.endswith(detail) if detail else "`cz" in said
    assert not re.search(r"[.:;] *[.:;]|[:;] *$", said)


def test_a_gateway_that_comes_up_while_a_client_waits_is_in_time(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW, mode="enforce")
    gateway.answers.extend([httpx.ConnectError("refused")] * 3)
    source = started(gateway, tmp_path)
    assert source.governed.mode == "enforce"
    source.stop()


def test_following_outlives_what_nobody_foresaw(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY)
    gateway.answers.append(RuntimeError("unforeseen"))
    source = started(gateway, tmp_path)
    assert source.governed.mode == "log-only"
    gateway.answers.append(RuntimeError("unforeseen"))
    gateway.put_policy(DENY, mode="enforce")
    until(lambda: source.governed.mode == "enforce", "the mode that was put after it")
    source.stop()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_at_once(status: int, tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    gateway.answers.extend([status] * 5)
    with pytest.raises(Rejected, match=f"the API key was refused .{status}."):
        started(gateway, tmp_path, wait_s=60)


def test_a_key_of_several_projects_is_told_at_once_that_none_was_named(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    gateway.answers.extend([422] * 5)
    with pytest.raises(Rejected, match=r"cannot tell which bundle is meant .422.:"):
        started(gateway, tmp_path, wait_s=60)


def test_a_project_without_a_policy_says_how_to_give_it_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cz policy apply"):
        started(InMemoryGateway(), tmp_path, wait_s=0.05)


def test_a_revoked_key_stops_delivery_and_not_governance(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
        gateway.answers.extend([401] * 50)
        assert not cz.guard("shell", "run").allowed
        assert not cz.flush()
        assert not cz.guard("shell", "run").allowed
        gateway.answers.clear()
        assert cz.flush()
    assert len(gateway.decisions()) == 2


def test_a_bundle_kept_on_disk_and_changed_there_is_not_taken(tmp_path: Path) -> None:
    kept_by_a_run(InMemoryGateway(policy=DENY, mode="enforce"), tmp_path)
    (kept,) = (tmp_path / "bundles").iterdir()
    document = json.loads(kept.read_bytes())
    document["czpolicy"] = document["czpolicy"][:40] + "AAAA" + document["czpolicy"][44:]
    kept.write_text(json.dumps(document))
    with pytest.raises(BundleTamperError):
        started(without_gateway(), tmp_path, wait_s=0.05)


# What is offered, and not taken


def kept_by_a_run(gateway: InMemoryGateway, spool: Path, **given: Any) -> ServedSource:
    """Let a client take the bundle of `gateway`, keep it and end."""
    source = started(gateway, spool, **given)
    source.stop()
    until(lambda: any((spool / "trust").iterdir()) if (spool / "trust").exists() else False)
    return source


def rolled_back(gateway: InMemoryGateway, version: int = 1) -> None:
    """Have a gateway serve a bundle signed as that version, with the same key."""
    gateway._version = version - 1
    gateway.put_policy(ALLOW, mode="off")


def test_an_older_bundle_is_not_taken_and_each_decision_says_that_it_was_offered(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    gateway.put_policy(DENY, mode="enforce")
    source = started(gateway, tmp_path)
    digest = source.governed.bundle_digest
    assert source.governed.bundle_state is None
    rolled_back(gateway)
    until(lambda: source.governed.bundle_state == "rollback_refused")
    assert (source.governed.bundle_digest, source.governed.mode) == (digest, "enforce")
    gateway._version = 5
    gateway.put_policy(DENY, mode="enforce")
    source.stop()
    later = started(gateway, tmp_path)
    assert later.governed.bundle_state is None
    later.stop()


@pytest.mark.parametrize("lost", ["nothing", "bundles", "trust"])
def test_an_older_bundle_is_refused_by_the_next_process_too(lost: str, tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    gateway.put_policy(DENY, mode="enforce")
    kept_by_a_run(gateway, tmp_path)
    if lost != "nothing":
        (gone,) = (tmp_path / lost).iterdir()
        gone.unlink()
    rolled_back(gateway)
    if lost == "bundles":
        with pytest.raises(BundleRollbackError, match="version 1 offered after version 2"):
            started(gateway, tmp_path)
        return
    source = started(gateway, tmp_path)
    assert (source.governed.mode, source.governed.bundle_state) == ("enforce", "rollback_refused")
    source.stop()


def test_an_older_bundle_put_in_the_place_of_the_one_kept_is_refused(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    kept_by_a_run(gateway, tmp_path)
    (kept,) = (tmp_path / "bundles").iterdir()
    older = kept.read_bytes()
    gateway.put_policy(DENY, mode="enforce")
    kept_by_a_run(gateway, tmp_path)
    until(lambda: kept.read_bytes() != older)
    until(lambda: json.loads(next((tmp_path / "trust").iterdir()).read_bytes())["version"] == 2)
    kept.write_bytes(older)
    with pytest.raises(BundleRollbackError):
        started(without_gateway(), tmp_path, wait_s=0.05)


def test_a_file_of_trust_that_was_damaged_stops_a_start(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=ALLOW)
    kept_by_a_run(gateway, tmp_path)
    (trust,) = (tmp_path / "trust").iterdir()
    trust.write_bytes(trust.read_bytes()[:-9])
    with pytest.raises(BundleTamperError, match="cannot be read"):
        started(gateway, tmp_path)


def test_a_damaged_bundle_is_not_taken_and_each_decision_says_that_it_was_offered(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    source = started(gateway, tmp_path)
    gateway.put_policy(ALLOW)
    gateway._czpolicy = gateway._czpolicy[:100] + b"x" + gateway._czpolicy[101:]
    until(lambda: source.governed.bundle_state == "tampering_refused")
    assert source.governed.mode == "enforce"
    source.stop()
    with pytest.raises(BundleTamperError):
        started(gateway, tmp_path / "fresh")


def test_another_projects_bundle_is_not_taken(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    source = started(gateway, tmp_path)
    gateway.put_policy(ALLOW, project_id="other")
    until(lambda: source.governed.bundle_state == "signature_refused")
    assert source.governed.project_id == "default"
    source.stop()
    with pytest.raises(BundleVerificationError, match="for project `other`, expected `default`"):
        started(gateway, tmp_path / "fresh", project_id="default")


def test_a_rotated_key_is_followed_and_one_that_nobody_endorsed_is_not(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    kept_by_a_run(gateway, tmp_path)
    for _ in range(3):  # while no client looks
        gateway.rotate_signing_key()
    gateway.put_policy(ALLOW, mode="log-only")
    source = started(gateway, tmp_path)
    assert (source.governed.mode, source.governed.bundle_state) == ("log-only", None)
    gateway.rotate_signing_key(endorsed=False)
    gateway.put_policy(DENY)
    until(lambda: source.governed.bundle_state == "signature_refused")
    assert source.governed.compiled.policies[0].name == "open"
    source.stop()


def test_a_key_given_by_a_person_leaves_no_first_use_to_trust(tmp_path: Path) -> None:
    gateway, stranger = InMemoryGateway(policy=DENY), InMemoryGateway(policy=ALLOW)
    (line,) = key_list_lines(gateway._key_list)
    with pytest.raises(BundleVerificationError, match="expected one of"):
        started(stranger, tmp_path, signing_key=line)
    source = started(gateway, tmp_path, signing_key=line)
    assert source.governed.compiled.policies[0].name == "closed"
    source.stop()


def test_a_key_given_by_a_person_may_be_the_whole_list_of_a_pub_file(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY)
    gateway.rotate_signing_key()
    gateway.put_policy(DENY)
    source = started(gateway, tmp_path, signing_key="\n".join(key_list_lines(gateway._key_list)))
    assert source.governed.compiled.policies[0].name == "closed"
    source.stop()


def test_the_mode_is_the_signed_one(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    gateway._mode = "off"  # what a proxy may write beside a bundle
    source = started(gateway, tmp_path)
    assert source.governed.mode == "enforce"
    source.stop()


# Age


def test_decisions_by_the_bundle_kept_on_disk_say_that_no_server_confirmed_it(tmp_path: Path) -> None:
    kept_by_a_run(InMemoryGateway(policy=DENY, mode="enforce"), tmp_path)
    source = started(without_gateway(), tmp_path)
    assert source.governed.bundle_state == "unconfirmed"
    source.stop()


def test_a_server_that_answers_again_confirms_the_bundle_kept_on_disk(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    kept_by_a_run(gateway, tmp_path)
    gateway.answers.extend([httpx.ConnectError("refused")] * 3)
    settings = Settings(api_key="cz_test_key", base_url="http://gateway", spool=tmp_path)
    link = HttpLink(settings.base_url, "cz_test_key", transport=gateway)
    source = ServedSource(settings, link, clock=SettableClock(), new_jitter=lambda: -0.98)
    source.start()
    assert source.governed.bundle_state == "unconfirmed"
    until(lambda: source.governed.bundle_state is None)
    source.stop()


@pytest.mark.parametrize(("on_stale", "allowed"), [("keep", True), ("deny", False)])
def test_a_client_without_its_server_keeps_the_bundle_up_to_its_age_and_then_does_what_the_project_says(
    on_stale: str, allowed: bool, tmp_path: Path
) -> None:
    clock = SettableClock()
    gateway = InMemoryGateway()
    gateway.put_policy(ALLOW, mode="enforce", on_stale=on_stale, expires_at=clock.now + 3600 * 1_000_000)
    given: dict[str, Any] = {"api_key": "cz_test_key", "base_url": "http://gateway", "spool": tmp_path, "clock": clock}
    with Client(transport=gateway, **given):
        pass
    until(lambda: any((tmp_path / "trust").iterdir()) if (tmp_path / "trust").exists() else False)
    gateway.answers.extend([httpx.ConnectError("refused")] * 1_000)
    with Client(transport=gateway, **given) as cz:
        assert cz.guard("report", "write").allowed
        clock.advance(3600)
        decision = cz.guard("report", "write")
        assert (decision.allowed, decision.verdict) == (allowed, "allow")
        gateway.answers.clear()
        assert cz.flush()
    states = [decision.bundle_state for decision in gateway.decisions()]
    assert states == ["unconfirmed", "expired"]
    assert [decision.reason_code for decision in gateway.decisions()] == ["matched_rule", "matched_rule" if allowed else "stale_bundle"]


def test_a_bundle_ages_from_when_its_server_last_confirmed_it(tmp_path: Path) -> None:
    clock = SettableClock()
    gateway = InMemoryGateway(policy=DENY, mode="enforce")
    first = kept_by_a_run(gateway, tmp_path, clock=clock, bundle_age_s_max=60)
    assert first.governed.expires_at == clock.now + 60_000_000
    clock.advance(59)
    again = started(without_gateway(), tmp_path, clock=clock, bundle_age_s_max=60)
    assert again.governed.expires_at == first.governed.expires_at
    again.stop()
    confirmed = started(gateway, tmp_path, clock=clock, bundle_age_s_max=60)
    assert confirmed.governed.expires_at == clock.now + 60_000_000
    confirmed.stop()


def test_importing_and_configuring_contacts_nobody() -> None:
    assert read_settings({"CONTROLZERO_API_KEY": "cz_live_a"}).api_key == "cz_live_a"
    gateway = InMemoryGateway(policy=ALLOW)
    ServedSource(Settings(api_key="k"), HttpLink(BASE_URL, "k", transport=gateway), clock=SettableClock())
    assert gateway.requests == []
