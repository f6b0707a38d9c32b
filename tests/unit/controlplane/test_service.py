import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from controlplane.model import CANDIDATES_MAX, NotFound, ProjectSettings
from controlplane.service import ControlPlane
from controlzero.bundle import digest, signers, verify
from controlzero.errors import BundleVerificationError, PolicyError, Rejected
from controlzero.secrets_on_disk import key_list, signing_key, trusted_keys
from controlzero.trust import KeyList, admit
from topics.control import ControlFollower, ControlState
from topics.sqlite import SqliteLog

ALLOW = {"name": "open", "rules": [{"effect": "allow", "action": "llm:*"}]}
DENY = {"name": "shut", "rules": [{"effect": "deny", "action": "*", "conditions": {"agent_id": "basic-*"}}]}


def followed(log: SqliteLog) -> ControlState:
    follower = ControlFollower(log)
    follower.poll()
    assert follower.problems == ()
    return follower.state


def test_a_new_project_is_log_only_and_has_no_policy(plane: ControlPlane, log: SqliteLog) -> None:
    project = plane.create_project("demo", actor="ada", name="Demo")
    assert (project.mode, project.version, project.bundle_digest) == ("log-only", None, None)
    assert project.retention_days == {"quarantine": 7}
    assert followed(log).projects["demo"].mode == "log-only"


@pytest.mark.parametrize("project_id", ["", "Demo", "a b", "a/b", "../x", "x" * 65, "ä", "demo\n"])
def test_a_project_id_that_cannot_be_a_path_or_key_is_refused(plane: ControlPlane, project_id: str) -> None:
    with pytest.raises(Rejected, match="expected 1 to 64"):
        plane.create_project(project_id, actor="ada")
    assert plane.list_projects() == []


def test_a_project_is_made_once(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    with pytest.raises(Rejected, match="there already"):
        plane.create_project("demo", actor="ada")


def test_an_archived_project_is_left_out_of_lists_and_followers_know(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.create_project("kept", actor="ada")
    follower = ControlFollower(log)
    assert plane.archive_project("demo", actor="bob", why="replaced")
    assert not plane.archive_project("demo", actor="bob")
    follower.poll()
    assert {name: record.archived for name, record in follower.state.projects.items()} == {"demo": True, "kept": False}
    assert [project.project_id for project in plane.list_projects()] == ["kept"]
    assert [project.project_id for project in plane.list_projects(archived=True)] == ["demo", "kept"]
    assert plane.project("demo").archived_at is not None
    entry = plane.control_log("demo")[0]
    assert (entry.action, entry.actor, entry.why) == ("project.archived", "bob", "replaced")


def test_a_project_out_of_the_archive_is_as_it_was(plane: ControlPlane, log: SqliteLog) -> None:
    before = plane.create_project("demo", actor="ada")
    assert not plane.restore_project("demo", actor="ada")
    plane.archive_project("demo", actor="ada")
    assert plane.restore_project("demo", actor="ada")
    follower = ControlFollower(log)
    follower.poll()
    assert plane.project("demo") == before
    assert not follower.state.projects["demo"].archived
    assert [(entry.action, entry.from_value, entry.to_value) for entry in plane.control_log("demo")] == [
        ("project.restored", "archived", "in use"),
        ("project.archived", "in use", "archived"),
        ("project.created", None, "log-only"),
    ]


def test_every_change_is_logged_with_what_was_before_or_is_after(plane: ControlPlane) -> None:
    plane.create_organisation("acme", actor="ada")
    plane.create_project("demo", actor="ada")
    plane.add_environment("demo", "staging", actor="ada")
    plane.remove_environment("demo", "staging", actor="ada")
    said = {entry.action: (entry.from_value, entry.to_value) for entry in plane.control_log()}
    assert said == {
        "organisation.created": (None, "acme"),
        "project.created": (None, "log-only"),
        "environment.added": (None, "staging"),
        "environment.removed": ("staging", None),
    }


def test_an_unknown_project_is_refused_with_those_there_are(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    for ask in (
        lambda: plane.project("dmo"),
        lambda: plane.apply_policy("dmo", ALLOW, actor="ada"),
        lambda: plane.set_mode("dmo", "off", actor="ada"),
        lambda: plane.archive_project("dmo", actor="ada"),
        lambda: plane.create_key(["dmo"], actor="ada"),
        lambda: plane.control_log("dmo"),
        lambda: plane.list_candidates("dmo"),
    ):
        with pytest.raises(NotFound, match="there are: demo"):
            ask()


def test_an_applied_policy_is_signed_and_published_with_its_project(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    plane.create_project("demo", actor="ada")
    change = plane.apply_policy("demo", json.dumps(DENY), actor="ada", why="try it")
    state = followed(log)
    bundle = verify(state.bundles[state.projects["demo"].bundle_digest or ""].czpolicy, trusted_keys(tmp_path))
    assert (change.changed, change.version, change.digest) == (True, 1, digest(bundle))
    assert (bundle.project_id, bundle.version, bundle.mode, bundle.reads) == ("demo", 1, "log-only", ("agent_id",))
    assert bundle.policies[0]["name"] == "shut"
    assert bundle.policy_digest == change.policy_digest == plane.project("demo").policy_digest


def test_the_same_policy_again_changes_nothing(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    first = plane.apply_policy("demo", ALLOW, actor="ada")
    end = followed(log).next_offset
    again = plane.apply_policy("demo", "name: open\nrules: [{effect: allow, action: 'llm:*'}]", actor="ada")
    assert (again.changed, again.version, again.digest) == (False, 1, first.digest)
    assert followed(log).next_offset == end
    assert len(plane.policy_versions("demo")) == 1


def test_a_bad_policy_names_its_problems_and_changes_nothing(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    with pytest.raises(PolicyError) as refused:
        plane.apply_policy("demo", {"name": "x", "rules": [{"efect": "deny"}, {"effect": "maybe", "action": "*"}]}, actor="ada")
    assert {problem.path.split(".")[0] for problem in refused.value.problems} == {"rules[0]", "rules[1]"}
    assert plane.project("demo").version is None
    assert [entry.action for entry in plane.control_log("demo")] == ["project.created"]


def test_two_policies_of_one_name_are_refused(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    with pytest.raises(PolicyError, match=r"policies\[1\]\.name"):
        plane.apply_policy("demo", [ALLOW, ALLOW], actor="ada")


def test_a_bundle_keeps_several_policies_in_the_order_given(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", [DENY, ALLOW], actor="ada")
    assert [policy["name"] for policy in plane.policy("demo").policies] == ["shut", "open"]


def test_a_mode_is_signed_into_the_bundle_and_keeps_the_policy(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    plane.create_project("demo", actor="ada")
    before = plane.apply_policy("demo", ALLOW, actor="ada")
    after = plane.set_mode("demo", "enforce", actor="bob", why="ready")
    assert (after.version, after.mode) == (2, "enforce")
    assert after.policy_digest == before.policy_digest
    assert after.digest != before.digest
    state = followed(log)
    assert state.projects["demo"].mode == "enforce"
    trusted = trusted_keys(tmp_path)
    old, new = (verify(state.bundles[one.digest or ""].czpolicy, trusted) for one in (before, after))
    assert new.mode == "enforce"
    assert new.version > old.version


def test_setting_the_mode_it_has_changes_nothing(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    assert plane.set_mode("demo", "log-only", actor="ada").changed is False
    assert len(plane.control_log("demo")) == 1


def test_a_mode_can_be_set_before_the_first_policy(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    assert plane.set_mode("demo", "enforce", actor="ada").version is None
    assert plane.apply_policy("demo", ALLOW, actor="ada").mode == "enforce"


def test_an_unknown_mode_is_refused(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    with pytest.raises(Rejected, match="enforce, log-only, off"):
        plane.set_mode("demo", "on", actor="ada")  # type: ignore[arg-type]


def test_a_candidate_is_published_beside_and_widens_what_agents_record(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", ALLOW, actor="ada")
    candidate = plane.add_candidate("demo", DENY, actor="ada", why="stricter?")
    state = followed(log)
    assert state.projects["demo"].candidates == (candidate.digest,)
    active = verify(state.bundles[state.projects["demo"].bundle_digest or ""].czpolicy, trusted_keys(tmp_path))
    assert (active.version, active.reads) == (2, ("agent_id",))
    assert active.policies[0]["name"] == "open"
    shadow = verify(state.bundles[candidate.digest].czpolicy, trusted_keys(tmp_path))
    assert (shadow.version, shadow.policies[0]["name"]) == (0, "shut")


def test_a_candidate_that_reads_nothing_new_needs_no_new_version(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", DENY, actor="ada")
    plane.add_candidate("demo", ALLOW, actor="ada")
    assert plane.project("demo").version == 1


def test_a_candidate_added_twice_is_one(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    assert plane.add_candidate("demo", DENY, actor="ada") == plane.add_candidate("demo", DENY, actor="bob")
    assert len(plane.project("demo").candidates) == 1


def test_a_removed_candidate_is_judged_no_more_and_keeps_its_name(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", ALLOW, actor="ada")
    candidate = plane.add_candidate("demo", DENY, actor="ada")
    plane.remove_candidate("demo", candidate.digest[:12], actor="ada")
    assert followed(log).projects["demo"].candidates == ()
    assert plane.list_candidates("demo") == []
    assert [one.closed_as for one in plane.list_candidates("demo", closed=True)] == ["removed"]
    found = plane.by_digest("demo", candidate.digest)
    assert found is not None
    assert found.policies[0]["name"] == "shut"
    with pytest.raises(NotFound):
        plane.remove_candidate("demo", candidate.digest, actor="ada")


def test_a_promoted_candidate_is_in_force_and_no_candidate(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", ALLOW, actor="ada")
    plane.add_candidate("demo", DENY, actor="ada")
    change = plane.promote_candidate("demo", "shut", actor="bob", why="the evidence suffices")
    assert plane.policy("demo").policies[0]["name"] == "shut"
    assert plane.policy("demo").version == change.version
    assert followed(log).projects["demo"].candidates == ()
    assert [entry.action for entry in plane.control_log("demo")][:2] == ["policy.applied", "candidate.promoted"]


def test_candidates_have_a_limit_with_a_way_out(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    for number in range(CANDIDATES_MAX):
        plane.add_candidate("demo", {"name": f"c{number}", "rules": []} | {"rules": ALLOW["rules"]}, actor="ada")
    with pytest.raises(Rejected, match="remove one"):
        plane.add_candidate("demo", DENY, actor="ada")


def test_settings_that_a_bundle_carries_are_signed_again(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", ALLOW, actor="ada")
    change = plane.set_project("demo", ProjectSettings(on_stale="deny", on_unrecordable="deny", bundle_days=30), actor="ada")
    bundle = verify(plane.czpolicy("demo"), trusted_keys(tmp_path))
    assert (change.version, bundle.on_stale, bundle.on_unrecordable) == (2, "deny", "deny")
    assert bundle.expires_at == bundle.issued_at + 30 * 86_400_000_000
    assert followed(log).projects["demo"].on_stale == "deny"


def test_settings_that_no_bundle_carries_need_no_new_version(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", ALLOW, actor="ada")
    settings = ProjectSettings(
        retention_days={"decision": 90, "quarantine": None}, webhook_url="https://example.org/hooks/secret", name="D"
    )
    assert plane.set_project("demo", settings, actor="ada").version == 1
    published = followed(log).projects["demo"]
    assert (published.retention_days, published.webhook_url, published.name) == ({"decision": 90}, "https://example.org/hooks/secret", "D")


def test_the_control_log_shows_where_a_webhook_goes_and_not_its_secret_path(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.set_project("demo", ProjectSettings(webhook_url="https://example.org/hooks/secret"), actor="ada")
    assert plane.control_log("demo")[0].to_value == "https://example.org/…"


HOOK = "https://hooks.example.org:8443/services/T0/secret?token=other"


def test_versions_are_listed_without_what_they_say_and_else_as_they_are(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    for mode in ("enforce", "log-only"):
        plane.apply_policy("demo", ALLOW, actor="ada")
        plane.set_mode("demo", mode, actor="ada")
    whole = plane.policy_versions("demo")
    assert all(version.policies for version in whole)
    assert plane.policy_versions("demo", with_policies=False) == [replace(version, policies=()) for version in whole]


def test_of_a_webhook_is_told_where_it_goes_and_its_followers_know_the_rest(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.set_project("demo", ProjectSettings(webhook_url=HOOK), actor="ada")
    assert plane.project("demo").webhook_url == plane.list_projects()[0].webhook_url == "https://hooks.example.org:8443/…"
    assert followed(log).projects["demo"].webhook_url == HOOK


def test_a_webhook_given_back_as_it_is_shown_stays_and_another_takes_its_place(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.set_project("demo", ProjectSettings(webhook_url=HOOK), actor="ada")
    shown = plane.project("demo").webhook_url
    assert plane.set_project("demo", ProjectSettings(webhook_url=shown), actor="ada").changed is False
    assert plane.set_project("demo", ProjectSettings(webhook_url=shown, name="Demo"), actor="ada").changed is True
    assert followed(log).projects["demo"].webhook_url == HOOK
    plane.set_project("demo", ProjectSettings(webhook_url=f"{HOOK}2"), actor="ada")
    assert followed(log).projects["demo"].webhook_url == f"{HOOK}2"
    with pytest.raises(Rejected, match="expected the whole"):
        plane.set_project("demo", ProjectSettings(webhook_url="https://elsewhere.example.org/…"), actor="ada")
    plane.set_project("demo", ProjectSettings(webhook_url=None), actor="ada")
    assert followed(log).projects["demo"].webhook_url is plane.project("demo").webhook_url is None


def test_settings_as_they_are_change_nothing(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    settings = ProjectSettings(on_stale="keep", retention_days={"quarantine": 7}, webhook_url=None)
    assert plane.set_project("demo", settings, actor="ada").changed is False
    assert len(plane.control_log("demo")) == 1


@pytest.mark.parametrize(
    "settings",
    [
        ProjectSettings(name=""),
        ProjectSettings(name="x" * 201),
        ProjectSettings(on_stale="maybe"),  # type: ignore[arg-type]
        ProjectSettings(bundle_days=0),
        ProjectSettings(bundle_days=367),
        ProjectSettings(retention_days={"decision": -1}),
        ProjectSettings(retention_days={"tally": 7}),  # type: ignore[dict-item]
        ProjectSettings(webhook_url="ftp://example.org"),
        ProjectSettings(webhook_url="https://user:password@example.org"),
        ProjectSettings(webhook_url="http://[::1"),
        ProjectSettings(webhook_url="/hook"),
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(plane: ControlPlane, settings: ProjectSettings) -> None:
    plane.create_project("demo", actor="ada")
    before = plane.project("demo")
    with pytest.raises(Rejected):
        plane.set_project("demo", settings, actor="ada")
    assert plane.project("demo") == before


def test_the_control_log_says_who_did_what_from_what_to_what_and_why(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada", why="a start")
    plane.apply_policy("demo", ALLOW, actor="ada")
    plane.set_mode("demo", "enforce", actor="bob", why="the evidence suffices")
    entry = plane.control_log("demo")[0]
    assert (entry.actor, entry.action, entry.from_value, entry.to_value, entry.why) == (
        "bob",
        "mode.set",
        "log-only",
        "enforce",
        "the evidence suffices",
    )
    assert [one.action for one in plane.control_log()] == ["mode.set", "policy.applied", "project.created"]
    assert [one.action for one in plane.control_log("demo", limit=1, before=entry.entry_id)] == ["policy.applied"]


@pytest.mark.parametrize("actor", ["", "x" * 201, "ada\nbob"])
def test_nobody_changes_anything_unnamed(plane: ControlPlane, actor: str) -> None:
    with pytest.raises(Rejected, match="actor"):
        plane.create_project("demo", actor=actor)
    assert plane.list_projects() == []


def test_an_export_is_recorded_though_it_changes_nothing(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.record("demo", "export.decisions", "csv, 1,200 rows", actor="ada")
    assert plane.control_log("demo")[0].subject == "csv, 1,200 rows"


def test_one_project_cannot_name_anothers_bundle(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.create_project("other", actor="ada")
    change = plane.apply_policy("other", ALLOW, actor="ada")
    assert plane.by_digest("demo", change.digest or "") is None
    assert plane.by_digest("other", change.digest or "") is not None


def test_the_first_run_makes_a_log_only_project_with_a_policy_and_a_key_once(plane: ControlPlane, log: SqliteLog) -> None:
    first = plane.ensure_default_project()
    assert first is not None
    assert first.key.startswith("cz_live_")
    assert (first.project.project_id, first.project.mode, first.project.version) == ("default", "log-only", 1)
    assert plane.ensure_default_project() is None
    state = followed(log)
    assert set(state.projects) == {"default"}
    assert [key.projects for key in state.keys.values()] == [("default",)]


def test_a_version_that_is_not_there_is_refused_with_those_that_are(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    with pytest.raises(NotFound, match="no policy yet"):
        plane.policy("demo")
    plane.apply_policy("demo", ALLOW, actor="ada")
    with pytest.raises(NotFound, match="no version 7, expected 1 to 1"):
        plane.policy("demo", 7)


def test_a_bundle_past_half_its_age_is_renewed_and_an_earlier_one_is_not(tmp_path: Path, log: SqliteLog) -> None:
    day = 86_400_000_000
    now = [0]
    with ControlPlane(tmp_path, log, clock=lambda: now[0]) as plane:
        plane.create_project("demo", actor="ada")
        plane.set_project("demo", ProjectSettings(bundle_days=10), actor="ada")
        plane.apply_policy("demo", ALLOW, actor="ada")
        now[0] = 4 * day
        assert plane.renew_bundles() == 0
        now[0] = 6 * day
        assert plane.renew_bundles() == 1
        assert plane.policy("demo").expires_at == 16 * day
        assert plane.renew_bundles() == 0


def test_a_first_run_that_fails_midway_leaves_nothing_and_succeeds_later(tmp_path: Path, log: SqliteLog) -> None:
    def no_randomness(_bytes: int) -> str:
        raise OSError("the kernel has no random bytes")

    with ControlPlane(tmp_path, log, clock=lambda: 1, token=no_randomness) as plane:
        with pytest.raises(OSError, match="random"):
            plane.ensure_default_project()
        assert (plane.list_projects(), plane.control_log(), plane.pending()) == ([], [], 0)
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        assert plane.ensure_default_project() is not None


def test_after_a_lost_signing_key_the_next_change_is_signed_by_the_new_one(tmp_path: Path, log: SqliteLog) -> None:
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        plane.create_project("demo", actor="ada")
        plane.apply_policy("demo", ALLOW, actor="ada")
    (tmp_path / "keys" / "signing.key").unlink()
    with ControlPlane(tmp_path, log, clock=lambda: 2) as plane:
        newest = dict(list(trusted_keys(tmp_path).items())[:1])
        with pytest.raises(BundleVerificationError):
            verify(plane.czpolicy("demo"), newest)
        assert plane.set_project("demo", ProjectSettings(name="Demo"), actor="ada").version == 2
        assert verify(plane.czpolicy("demo"), newest).version == 2


def test_a_rotated_key_signs_every_project_anew_and_agents_that_trust_the_old_one_follow(tmp_path: Path, log: SqliteLog) -> None:
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane, ControlPlane(tmp_path, log, clock=lambda: 2) as other:
        for name in ("bare", "demo", "shop"):
            plane.create_project(name, actor="ada")
        for name in ("demo", "shop"):
            plane.apply_policy(name, ALLOW, actor="ada")
        _, trust = admit(plane.czpolicy("demo"), KeyList(trusted_keys(tmp_path)), None)
        before = signing_key(tmp_path).private_bytes_raw()
        rotated = plane.rotate_signing_key(actor="ada", why="every year")
        assert rotated.projects == ("demo", "shop")
        assert (tmp_path / "keys" / "signing.key").read_bytes() != before
        bundle, after = admit(plane.czpolicy("demo"), key_list(tmp_path), trust)
        assert (bundle.version, list(after.keys)) == (2, [rotated.key_id])
        assert [(one.action, one.from_value, one.to_value) for one in plane.control_log(limit=1)] == [
            ("signing_key.rotated", rotated.old_key_id, rotated.key_id)
        ]
        assert plane.policy_versions("demo")[0].change == "rotation"
        assert other.set_mode("shop", "enforce", actor="bob").version == 3  # by a process that was open all along
        assert signers(other.czpolicy("shop")) == (rotated.key_id,)
        assert plane.rotate_signing_key(actor="ada").old_key_id == rotated.key_id
        assert admit(plane.czpolicy("demo"), key_list(tmp_path), trust)[0].version == 3


def test_a_promoted_candidate_that_says_what_is_in_force_is_closed_and_makes_no_policy(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", DENY, actor="ada")
    plane.add_candidate("demo", DENY, actor="ada")
    assert plane.promote_candidate("demo", "shut", actor="ada").version == 1
    assert plane.project("demo").candidates == ()


def test_projects_are_listed_with_what_is_their_own(plane: ControlPlane) -> None:
    for project in ("b", "a"):
        plane.create_project(project, actor="ada")
    change = plane.apply_policy("a", ALLOW, actor="ada")
    candidate = plane.add_candidate("b", DENY, actor="ada")
    a, b = plane.list_projects()
    assert (a.project_id, a.bundle_digest, a.candidates) == ("a", change.digest, ())
    assert (b.project_id, b.bundle_digest, b.candidates) == ("b", None, (candidate.digest,))
    assert [plane.project("a"), plane.project("b")] == [a, b]
