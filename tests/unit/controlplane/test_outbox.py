"""What is committed is published, in order, however the process ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from controlplane.__main__ import tend
from controlplane.model import ProjectSettings
from controlplane.service import ControlPlane
from controlzero.errors import Rejected, Unavailable
from topics.control import ControlFollower, ControlState, ProjectRecord, decode_control
from topics.declarations import CONTROL
from topics.ending import Ending
from topics.sqlite import SqliteLog

POLICY = {"name": "open", "rules": [{"effect": "allow", "action": "llm:*"}]}


class RefusingLog(SqliteLog):
    """A log whose disk is full for as long as `refuses` says."""

    refuses = False

    def append(self, topic: str, messages: Sequence[tuple[bytes, bytes | None, dict[str, str]]]) -> list[tuple[int, int]]:
        if self.refuses:
            raise Unavailable("log: the disk is full")
        return super().append(topic, messages)


class OneLook(Ending):
    """An end that comes after the first look."""

    def wait(self, timeout_s: float | None = None) -> bool:
        self.ask()
        return super().wait(timeout_s)


class AwayLog(SqliteLog):
    """A log whose brokers are away; while they are waited for, somebody changes something."""

    meanwhile: Callable[[], object] | None = None

    def partitions(self, topic: str) -> int:
        if self.meanwhile is None:
            return super().partitions(topic)
        self.meanwhile()
        raise Unavailable("log: brokers are away")


def followed(log: SqliteLog) -> ControlState:
    follower = ControlFollower(log)
    follower.poll()
    return follower.state


def test_a_change_stands_while_the_log_takes_nothing_and_is_published_later(tmp_path: Path) -> None:
    log = RefusingLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        log.refuses = True
        plane.create_project("demo", actor="ada")
        plane.apply_policy("demo", POLICY, actor="ada")
        assert plane.project("demo").version == 1
        assert plane.pending() == 3
        assert followed(log).projects == {}
        with pytest.raises(Unavailable):
            plane.publish_pending()
        log.refuses = False
        assert plane.publish_pending() == 2  # the project's first record is superseded by its second
        assert plane.pending() == 0
        assert followed(log).projects["demo"].bundle_digest == plane.project("demo").bundle_digest
    log.close()


def test_a_change_does_not_wait_for_the_brokers_that_another_waits_for(tmp_path: Path) -> None:
    away, log = AwayLog(tmp_path / "log.db"), SqliteLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, away) as plane, ControlPlane(tmp_path, log) as other:
        away.meanwhile = lambda: other.create_project("meanwhile", actor="bob")
        plane.create_project("demo", actor="ada")
        assert {project.project_id for project in plane.list_projects()} == {"demo", "meanwhile"}
    away.close()
    log.close()


def test_what_an_earlier_process_left_is_published_at_start(tmp_path: Path) -> None:
    log = RefusingLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        log.refuses = True
        plane.create_project("demo", actor="ada")
    log.refuses = False
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        assert plane.pending() == 0
        assert set(followed(log).projects) == {"demo"}
    log.close()


def test_who_tends_the_control_plane_publishes_what_a_change_left(tmp_path: Path) -> None:
    log, looks = RefusingLog(tmp_path / "log.db"), list[str]()
    with ControlPlane(tmp_path, log, clock=lambda: 1) as plane:
        log.refuses = True
        plane.create_project("demo", actor="ada")
        with pytest.raises(Unavailable):
            tend(plane, OneLook(), well=lambda: looks.append("well"), monotonic=lambda: 0)
        assert looks == []
        log.refuses = False
        tend(plane, OneLook(), well=lambda: looks.append("well"), monotonic=lambda: 0)
        assert (plane.pending(), looks) == (0, ["well"])
    log.close()


def test_who_tends_the_control_plane_renews_a_bundle_past_half_its_age(tmp_path: Path, log: SqliteLog) -> None:
    day_us, now = 86_400_000_000, [0]
    with ControlPlane(tmp_path, log, clock=lambda: now[0]) as plane:
        plane.create_project("demo", actor="ada")
        plane.set_project("demo", ProjectSettings(bundle_days=10), actor="ada")
        plane.apply_policy("demo", POLICY, actor="ada")
        for now[0], version in ((4 * day_us, 1), (6 * day_us, 2)):
            tend(plane, OneLook(), well=lambda: None, monotonic=lambda: 0)
            assert plane.project("demo").version == version


def test_a_failed_change_leaves_neither_row_nor_log_line_nor_record(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    end = followed(log).next_offset
    with pytest.raises(Rejected):  # the first project is locked, and its key made, before the second is found missing
        plane.create_key(["demo", "nowhere"], actor="ada")
    with pytest.raises(Rejected):
        plane.set_project("demo", ProjectSettings(name="New", bundle_days=0), actor="ada")
    assert plane.pending() == 0
    assert followed(log).next_offset == end
    assert plane.project("demo").name == "demo"
    assert [entry.action for entry in plane.control_log("demo")] == ["project.created"]


def test_a_bundle_is_published_before_the_project_that_names_it(plane: ControlPlane, log: SqliteLog) -> None:
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", POLICY, actor="ada")
    plane.set_mode("demo", "enforce", actor="ada")
    known: set[str] = set()
    for message in log.read(CONTROL.name, 0, 0, bytes_max=10_000_000):
        record = decode_control(message.value or b"")
        if isinstance(record, ProjectRecord):
            assert record.bundle_digest is None or record.bundle_digest in known
        else:
            known.add(message.key.decode().removeprefix("bundle/"))
    assert len(known) == 2


def test_records_published_twice_say_the_same(plane: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    """As after a kill between the append and the forgetting of what was appended."""
    plane.create_project("demo", actor="ada")
    plane.apply_policy("demo", POLICY, actor="ada")
    plane.set_mode("demo", "enforce", actor="ada")
    before = followed(log)
    newest = {message.key: message for message in log.read(CONTROL.name, 0, 0, bytes_max=10_000_000)}
    log.append(CONTROL.name, [(message.key, message.value, {}) for message in newest.values()])
    after = followed(log)
    assert (after.projects, after.bundles, after.keys) == (before.projects, before.bundles, before.keys)


KILLED_AT_THE_LOG = """
import os, signal, sys
from pathlib import Path
from controlplane.service import ControlPlane
from topics.sqlite import SqliteLog

class Killing(SqliteLog):
    def append(self, topic, messages):
        if sys.argv[2] == "after":
            super().append(topic, messages)
        os.kill(os.getpid(), signal.SIGKILL)

home = Path(sys.argv[1])
ControlPlane(home, Killing(home / "log.db")).create_project("demo", actor="ada")
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_between_commit_and_publish_loses_nothing(tmp_path: Path, moment: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED_AT_THE_LOG, str(tmp_path), moment], check=False, cwd=Path(__file__).parents[3])
    assert ended.returncode == -signal.SIGKILL
    log = SqliteLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, log) as plane:
        assert plane.pending() == 0
        assert [project.project_id for project in plane.list_projects()] == ["demo"]
        assert [entry.action for entry in plane.control_log("demo")] == ["project.created"]
        assert set(followed(log).projects) == {"demo"}
    log.close()


MANY_CHANGES = """
import sys
from pathlib import Path
from controlplane.service import ControlPlane
from topics.sqlite import SqliteLog

home, name = Path(sys.argv[1]), sys.argv[2]
with ControlPlane(home, SqliteLog(home / "log.db")) as plane:
    for number in range(10):
        rules = [{"id": f"{name}-{number}", "effect": "allow", "action": "llm:*"}]
        plane.apply_policy("demo", {"name": "p", "rules": rules}, actor=name)
        plane.set_mode("demo", "enforce" if number % 2 else "log-only", actor=name)
"""


def test_processes_that_change_things_at_once_never_collide_nor_publish_out_of_order(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, log) as plane:
        plane.create_project("demo", actor="ada")
    run: Callable[[str], subprocess.Popen[bytes]] = lambda name: subprocess.Popen(  # noqa: E731
        [sys.executable, "-c", MANY_CHANGES, str(tmp_path), name], cwd=Path(__file__).parents[3], env=os.environ
    )
    processes = [run(name) for name in ("one", "two", "three")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    with ControlPlane(tmp_path, log) as plane:
        versions = [one.version for one in plane.policy_versions("demo")]
        assert versions == list(range(len(versions), 0, -1))
        assert len(versions) >= 30  # every policy is another; a mode may be set already
        project, published = plane.project("demo"), followed(log).projects["demo"]
        assert (published.bundle_digest, published.mode) == (project.bundle_digest, project.mode)
        assert project.version == len(versions)
        changes = [entry for entry in plane.control_log("demo", limit=1000) if entry.action in ("policy.applied", "mode.set")]
        assert len(changes) == len(versions)
    log.close()
