"""Who may do what: members and their roles, scopes of keys, rotation, and what a thief of the tables has."""

import ast
import hashlib
import itertools
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from controlplane.database import open_database
from controlplane.model import DEFAULT_SCOPES, GRACE_S_MAX, ROLE_SCOPES, NotFound
from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from topics.control import AGENT_SCOPES, ControlFollower, KeyRecord
from topics.sqlite import SqliteLog

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def shop(plane: ControlPlane) -> ControlPlane:
    plane.create_project("shop", actor="ada")
    return plane


def followed(log: SqliteLog, secret: str) -> KeyRecord:
    follower = ControlFollower(log)
    follower.poll()
    return follower.state.keys[hashlib.sha256(secret.encode()).hexdigest()]


def test_a_role_allows_all_that_the_one_below_it_does() -> None:
    roles = ["viewer", "editor", "admin", "owner"]
    assert list(ROLE_SCOPES) == roles
    for lower, higher in itertools.pairwise(roles):
        assert set(ROLE_SCOPES[lower]) < set(ROLE_SCOPES[higher])


def test_a_members_keys_are_published_with_what_the_role_leaves_of_them(shop: ControlPlane, log: SqliteLog) -> None:
    shop.set_member("bob", "admin", actor="ada")
    secret, key = shop.create_key(["shop"], actor="ada", member="bob")
    assert followed(log, secret).scopes == key.scopes == DEFAULT_SCOPES
    shop.set_member("bob", "editor", actor="ada", why="no secrets for bob")
    assert followed(log, secret).scopes == AGENT_SCOPES
    shop.set_member("bob", "viewer", actor="ada")
    assert followed(log, secret).scopes == ()
    shop.set_member("bob", "admin", actor="ada")
    assert followed(log, secret).scopes == DEFAULT_SCOPES  # the key's own are what they were
    shop.remove_member("bob", actor="ada")
    assert followed(log, secret).revoked_at is not None
    said = [(entry.action, entry.from_value, entry.to_value) for entry in shop.control_log() if entry.subject == "bob"]
    assert said == [
        ("member.removed", "admin in default", None),
        ("member.set", "viewer in default", "admin in default"),
        ("member.set", "editor in default", "viewer in default"),
        ("member.set", "admin in default", "editor in default"),
        ("member.set", None, "admin in default"),
    ]


def test_members_of_the_same_name_in_two_organisations_are_two(shop: ControlPlane) -> None:
    shop.create_organisation("other", actor="ada")
    shop.create_project("theirs", actor="ada", organisation_id="other")
    shop.set_member("bob", "owner", actor="ada")
    shop.set_member("bob", "viewer", actor="ada", organisation_id="other")
    with pytest.raises(Rejected, match="beyond what the role"):
        shop.create_key(["theirs"], actor="ada", member="bob")
    _, key = shop.create_key(["shop"], actor="ada", member="bob")
    shop.remove_member("bob", actor="ada", organisation_id="other")
    assert shop.list_keys("shop") == [key]
    with pytest.raises(Rejected, match="expected one"):
        shop.create_key(["shop", "theirs"], actor="ada")
    with pytest.raises(Rejected, match="one organisation"):
        shop.grant(key.key_id, "theirs", actor="ada")


def test_an_organisation_with_members_keeps_an_owner(shop: ControlPlane) -> None:
    shop.set_member("ada", "owner", actor="ada")
    shop.set_member("bob", "editor", actor="ada")
    for lose in (lambda: shop.set_member("ada", "viewer", actor="bob"), lambda: shop.remove_member("ada", actor="bob")):
        with pytest.raises(Rejected, match="last owner"):
            lose()
    shop.remove_member("bob", actor="ada")
    shop.remove_member("ada", actor="ada")
    assert shop.list_members() == []


@pytest.mark.parametrize("scopes", [[], ["everything"], ["control:read", "control"]])
def test_a_scope_that_is_none_is_refused_with_those_there_are(shop: ControlPlane, scopes: list[str]) -> None:
    with pytest.raises(Rejected, match="organisation:write"):
        shop.create_key(["shop"], actor="ada", scopes=scopes)


@pytest.mark.parametrize("name", ["", "b\0b", "b\nb", " bob", "b" * 201])
def test_a_name_that_no_member_can_have_is_refused_before_it_is_looked_up(shop: ControlPlane, name: str) -> None:
    for ask in (
        lambda: shop.set_member(name, "viewer", actor="ada"),
        lambda: shop.create_key(["shop"], actor="ada", member=name),
        lambda: shop.create_key(["shop"], actor="ada", name=name),
    ):
        with pytest.raises(Rejected, match="printable"):
            ask()


def test_what_is_for_nobody_there_is_refused(shop: ControlPlane) -> None:
    with pytest.raises(NotFound, match="cz members set bob ROLE --organisation default"):
        shop.create_key(["shop"], actor="ada", member="bob")
    with pytest.raises(NotFound, match="none such"):
        shop.create_key(["shop"], actor="ada", environment="staging")
    with pytest.raises(NotFound, match="there are: default"):
        shop.set_member("bob", "owner", actor="ada", organisation_id="nowhere")
    with pytest.raises(NotFound, match="there are: none"):
        shop.remove_member("bob", actor="ada")


def test_a_rotated_key_is_what_the_old_one_was_and_the_old_one_ends(shop: ControlPlane, log: SqliteLog) -> None:
    shop.add_environment("shop", "staging", actor="ada")
    old_secret, old = shop.create_key(["shop"], actor="ada", name="bot", environment="staging", scopes=["session:read"], live=False)
    secret, new = shop.rotate_key(old.key_id, actor="ada", grace_s=60)
    assert (new.name, new.projects, new.scopes, new.environment) == (old.name, old.projects, old.scopes, old.environment)
    assert secret.startswith("cz_test_")
    ended = next(key for key in shop.list_keys("shop") if key.key_id == old.key_id)
    assert (ended.rotated_to, ended.revoked_at, ended.expires_at) == (new.key_id, None, new.created_at + 60_000_000)
    assert (followed(log, old_secret).expires_at, followed(log, secret).expires_at) == (ended.expires_at, None)
    for wrong in (
        lambda: shop.rotate_key(old.key_id, actor="ada"),
        lambda: shop.rotate_key(new.key_id, actor="ada", grace_s=GRACE_S_MAX + 1),
    ):
        with pytest.raises(Rejected, match=r"rotated already|grace"):
            wrong()
    shop.revoke_key(new.key_id, actor="ada")
    with pytest.raises(Rejected, match="is revoked"):
        shop.rotate_key(new.key_id, actor="ada")


def test_the_last_use_of_a_key_never_goes_back(shop: ControlPlane) -> None:
    _, key = shop.create_key(["shop"], actor="ada")
    for at in (5, 9, 7):
        shop.note_use({key.key_id: at, "key_of_nobody": at})
    assert shop.list_keys("shop")[0].last_used_at == 9


def test_nothing_in_the_tables_is_a_key(shop: ControlPlane, tmp_path: Path) -> None:
    secret, _ = shop.create_key(["shop"], actor="ada")
    shop.rotate_key(shop.list_keys("shop")[0].key_id, actor="ada")
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        values = {
            value
            for table in inspect(engine).get_table_names()
            for row in connection.execute(text(f"SELECT * FROM {table}"))
            for value in row
            if isinstance(value, str)
        }
    engine.dispose()
    assert hashlib.sha256(secret.encode()).hexdigest() in values
    assert [value for value in values if shop.key_by_secret(value.encode()) is not None] == []
    assert shop.key_by_secret(secret.encode()) is not None


def test_what_is_done_together_is_done_or_not_as_one(shop: ControlPlane, log: SqliteLog) -> None:
    def half_way() -> None:
        with shop.together():
            secret, _ = shop.create_key(["shop"], actor="ada")
            assert shop.key_by_secret(secret.encode()) is not None
            shop.set_member("bob", "owner", actor="ada")
            shop.create_project("shop", actor="ada")

    with pytest.raises(Rejected, match="there already"):
        half_way()
    assert (shop.list_keys(), shop.list_members()) == ([], [])
    assert [entry.action for entry in shop.control_log()] == ["project.created"]
    with shop.together(), shop.together():
        secret, key = shop.create_key(["shop"], actor="ada")
    assert followed(log, secret).key_id == key.key_id


def test_a_rule_is_given_a_mode_by_a_version_that_says_who_and_why(shop: ControlPlane) -> None:
    shop.apply_policy("shop", {"name": "p", "rules": [{"id": "a", "effect": "deny", "action": "x"}]}, actor="ada")
    assert shop.set_rule_mode("shop", "a", "log-only", actor="bob", why="try").changed
    assert not shop.set_rule_mode("shop", "p#1", "log-only", actor="bob").changed
    version = shop.policy("shop")
    assert (version.policies[0]["rules"][0]["mode"], version.created_by, version.why) == ("log-only", "bob", "try")
    entry = next(entry for entry in shop.control_log("shop") if entry.action == "rule.mode")
    assert (entry.subject, entry.from_value, entry.to_value, entry.why) == ("a", "project", "log-only", "try")
    assert shop.set_rule_mode("shop", "a", None, actor="bob").changed
    assert "mode" not in shop.policy("shop").policies[0]["rules"][0]


@pytest.mark.parametrize(
    "module", ["controlplane/keys.py", "controlplane/api/authentication.py", "controlplane/api/answering.py", "ingest/authentication.py"]
)
def test_no_hash_or_secret_is_compared_but_in_constant_time(module: str) -> None:
    source = (REPOSITORY / module).read_text()
    compared = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(word in ast.unparse(node) for word in ("sha256", "secret", "digest", "request"))
    ]
    assert [
        each for each in compared if each != "KeyRow.sha256 == sha256"
    ] == []  # the index' look-up, of which the first word is no secret's
    assert "compare_digest" in source or module.endswith("api/authentication.py")
