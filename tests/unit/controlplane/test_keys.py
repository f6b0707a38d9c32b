import hashlib
import re
from pathlib import Path

import pytest

from controlplane.model import DEFAULT_SCOPES, NotFound
from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from topics.control import ControlFollower
from topics.sqlite import SqliteLog


def test_a_key_is_shown_once_and_kept_as_a_hash(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    plane.create_project("demo", actor="ada")
    secret, record = plane.create_key(["demo"], actor="ada")
    assert re.fullmatch(r"cz_live_[A-Za-z0-9_-]{32}", secret)
    assert plane.key_by_secret(secret.encode()) == record
    assert record.prefix == secret[:12]
    for file in tmp_path.rglob("*.db*"):
        assert secret.encode() not in file.read_bytes()


def test_followers_know_a_key_by_its_hash(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    secret, record = plane.create_key(["demo"], actor="ada")
    follower = ControlFollower(log)
    follower.poll()
    known = follower.state.keys[hashlib.sha256(secret.encode()).hexdigest()]
    assert (known.key_id, known.projects, known.scopes) == (record.key_id, ("demo",), DEFAULT_SCOPES)


def test_a_test_key_says_so(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    secret, record = plane.create_key(["demo"], actor="ada", live=False)
    assert secret.startswith("cz_test_")
    assert record.prefix.startswith("cz_test_")


def test_keys_differ(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    assert len({plane.create_key(["demo"], actor="ada")[0] for _ in range(10)}) == 10


def test_a_key_grants_the_projects_it_names_and_no_other(plane: ControlPlane) -> None:
    for project in ("a", "b", "c"):
        plane.create_project(project, actor="ada")
    _, both = plane.create_key(["b", "a", "a"], actor="ada")
    assert both.projects == ("a", "b")
    assert plane.list_keys("a") == [both]
    assert plane.list_keys("c") == []


def test_a_key_for_no_project_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(Rejected, match="--project"):
        plane.create_key([], actor="ada")


def test_a_key_for_an_unknown_project_is_not_made(plane: ControlPlane) -> None:
    plane.create_project("a", actor="ada")
    with pytest.raises(NotFound):
        plane.create_key(["a", "nowhere"], actor="ada")
    assert plane.list_keys() == []


def test_a_revoked_key_is_published_and_stays_listed(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    secret, record = plane.create_key(["demo"], actor="ada")
    revoked = plane.revoke_key(record.prefix, actor="bob", why="left on a laptop")
    assert revoked.revoked_at is not None
    assert plane.list_keys("demo") == [revoked]
    follower = ControlFollower(log)
    follower.poll()
    assert follower.state.keys[hashlib.sha256(secret.encode()).hexdigest()].revoked_at == revoked.revoked_at
    assert (plane.control_log("demo")[0].action, plane.control_log("demo")[0].why) == ("key.revoked", "left on a laptop")


def test_a_key_revoked_again_keeps_its_time(plane: ControlPlane) -> None:
    plane.create_project("demo", actor="ada")
    _, record = plane.create_key(["demo"], actor="ada")
    assert plane.revoke_key(record.key_id, actor="bob") == plane.revoke_key(record.key_id, actor="bob")
    assert [entry.action for entry in plane.control_log("demo")].count("key.revoked") == 1


def test_an_unknown_key_is_refused_with_a_way_to_find_it(plane: ControlPlane) -> None:
    with pytest.raises(NotFound, match="cz keys list"):
        plane.revoke_key("key_none", actor="ada")


def test_a_prefix_that_fits_two_keys_revokes_neither(tmp_path: Path, log: SqliteLog) -> None:
    tokens = iter(["same" + "a" * 28, "same" + "b" * 28])
    with ControlPlane(tmp_path, log, clock=lambda: 1, token=lambda _: next(tokens)) as plane:
        plane.create_project("demo", actor="ada")
        _, one = plane.create_key(["demo"], actor="ada")
        _, two = plane.create_key(["demo"], actor="ada")
        with pytest.raises(Rejected, match=one.key_id):
            plane.revoke_key("cz_live_same", actor="ada")
        assert {key.revoked_at for key in plane.list_keys()} == {None}
        assert plane.revoke_key(two.key_id, actor="ada").revoked_at == 1
