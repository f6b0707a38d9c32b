"""The control plane's tables on a real Postgres: shared by those that change them, and missed by nobody who judges or lands."""

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from controlplane.__main__ import Beat
from controlplane.postgres import BUSY_S, TURNS
from controlplane.service import ControlPlane
from controlzero import Client
from controlzero.errors import Rejected, Unavailable
from cz.home import Home
from cz.up import default_project, renew, running_stack
from tests import postgres_server
from tests.postgres_server import Server
from tests.waiting import until
from topics.log import NewMessage, Place
from topics.sqlite import SqliteLog
from warehouse.snapshot import Warehouse

pytestmark = pytest.mark.needs("postgres")
OPEN = {"name": "open", "rules": [{"effect": "allow", "action": "llm:*"}]}
LANDS_S_MAX = 30.0


@pytest.fixture
def url(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, named in the environment."""
    url = postgres.database()
    monkeypatch.setenv("CZ_DATABASE_URL", url)
    return url


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that the test may end."""
    with postgres_server.running() as server:
        monkeypatch.setenv("CZ_DATABASE_URL", server.database())
        yield server


@contextmanager
def plane_at(home: Path) -> Iterator[ControlPlane]:
    home.mkdir(exist_ok=True)
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        yield plane


def cz(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CZ_HOME": str(home), "CZ_ACTOR": "tester"}
    command = [sys.executable, "-m", "cz", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_tables_are_there_and_not_in_the_data_folder(url: str, tmp_path: Path) -> None:
    with plane_at(tmp_path / "home") as plane:
        plane.create_project("demo", actor="ada")
    assert (tmp_path / "home" / "keys").exists()
    assert not (tmp_path / "home" / "control.db").exists()
    with plane_at(tmp_path / "home") as plane:
        assert [project.project_id for project in plane.list_projects()] == ["demo"]


def test_control_planes_of_two_folders_with_the_same_keys_share_it(url: str, tmp_path: Path) -> None:
    with plane_at(tmp_path / "one") as one:
        one.create_project("demo", actor="ada")
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "keys").symlink_to(tmp_path / "one" / "keys")
        with plane_at(tmp_path / "two") as two:
            assert two.apply_policy("demo", OPEN, actor="bob").version == 1
        assert one.policy("demo").created_by == "bob"


def test_a_change_waits_for_its_turn_and_then_gives_up_with_a_next_step(url: str, postgres: Server, tmp_path: Path) -> None:
    """Someone holds the turn for longer than a change waits, as a process does that was stopped in the middle."""
    with plane_at(tmp_path / "home") as plane:
        plane.create_project("demo", actor="ada")
        program = "import psycopg, sys; c = psycopg.connect(sys.argv[1]); c.execute('SELECT pg_advisory_lock(%s)' % sys.argv[2]); print(flush=True); input()"
        dsn = url.replace("postgresql+psycopg", "postgresql")
        with subprocess.Popen(
            [sys.executable, "-c", program, dsn, str(TURNS["change"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            assert plane.project("demo").mode == "log-only"  # readers are not kept waiting
            with pytest.raises(Unavailable, match=r"lock timeout.*then repeat"):
                plane.set_mode("demo", "enforce", actor="ada")
            holder.kill()
        assert plane.set_mode("demo", "enforce", actor="ada").changed


class StuckLog(SqliteLog):
    """A log that takes a while to say that it takes nothing, as Kafka does whose brokers are away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.goes_on = threading.Event(), threading.Event()

    def append(self, topic: str, messages: Sequence[NewMessage]) -> list[Place]:
        self.asked.set()
        assert self.goes_on.wait(LANDS_S_MAX)
        return super().append(topic, messages)


def test_a_change_need_not_wait_for_another_that_is_being_published(url: str, tmp_path: Path) -> None:
    with closing(StuckLog(tmp_path / "log.db")) as log, ControlPlane(tmp_path, log) as one, plane_at(tmp_path) as two:
        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(one.create_project, "slow", actor="ada")
            assert log.asked.wait(LANDS_S_MAX)
            quick = pool.submit(two.create_project, "quick", actor="bob")
            until(lambda: len(two.list_projects()) == 2, "the second change, beside the first that is published", within_s=BUSY_S / 2)
            log.goes_on.set()
            assert (slow.result().project_id, quick.result().project_id) == ("slow", "quick")
        assert two.pending() == 0


def test_first_runs_at_the_same_time_make_one_project_and_show_one_key(url: str, tmp_path: Path) -> None:
    def first_run(_number: int) -> str | None:
        with plane_at(tmp_path / "home") as plane:
            return default_project(plane)

    with ThreadPoolExecutor(6) as pool:
        shown = [key for key in pool.map(first_run, range(6)) if key is not None]
    with plane_at(tmp_path / "home") as plane:
        assert len(shown) == len(plane.list_keys()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_away_is_a_sentence_and_its_return_needs_no_hand(own_server: Server, tmp_path: Path, number: int) -> None:
    with plane_at(tmp_path / "home") as plane:
        plane.create_project("demo", actor="ada")
        own_server.end(number)
        for ask in (plane.list_projects, lambda: plane.set_mode("demo", "enforce", actor="ada")):
            with pytest.raises(Unavailable, match=r"127\.0\.0\.1:.*look at the server and at CZ_DATABASE_URL") as raised:
                ask()
            assert raised.value.retry_after_s
            assert_hidden(own_server, "".join(traceback.format_exception(raised.value)))
        own_server.start()
        assert plane.set_mode("demo", "enforce", actor="ada").changed


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://cz:hush-hush@127.0.0.1/cz", "expected postgresql"),
        ("postgresql+psycopg://cz:hush-hush@127.0.0.1", "expected postgresql"),
        ("hush-hush", "expected postgresql"),
        ("postgresql+psycopg://cz:hush-hush@127.0.0.1:port/cz", "expected postgresql"),
    ],
)
def test_a_url_that_names_no_postgres_is_refused_and_not_repeated(
    url: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CZ_DATABASE_URL", url)
    with pytest.raises(Rejected, match=problem) as raised, plane_at(tmp_path):
        pass
    assert "hush-hush" not in str(raised.value)


def test_a_wrong_password_is_told_and_not_shown(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CZ_DATABASE_URL", f"postgresql://cz:hush-hush@127.0.0.1:{postgres.port}/postgres?password=hush-hush")
    (tmp_path / "keys").mkdir()
    ended = cz(tmp_path, "project", "list")
    assert ended.returncode == 1
    assert "password authentication failed" in ended.stderr
    assert "hush-hush" not in ended.stdout + ended.stderr


def test_a_role_that_may_make_no_tables_is_told_what_it_needs(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = postgres.database().rpartition("/")[2]
    postgres.ask("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=database)
    postgres.ask(f"CREATE ROLE poor_{database} LOGIN PASSWORD 'poor'")
    monkeypatch.setenv("CZ_DATABASE_URL", f"postgresql://poor_{database}:poor@127.0.0.1:{postgres.port}/{database}")
    with pytest.raises(Unavailable, match="permission denied for schema public; expected a role that may make"), plane_at(tmp_path):
        pass


def test_the_product_takes_in_and_lands_without_it(own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, said = Home(tmp_path / "home"), list[str]()
    monkeypatch.setenv("CZ_HOME", str(home.path))
    with running_stack(
        home, host="127.0.0.1", port=0, dashboards_port=None, environment=os.environ, prepare=default_project, say=said.append
    ) as stack:
        own_server.end()
        assert stack.first_key is not None
        with Client(agent_id="ada", api_key=stack.first_key, base_url=stack.api_url, spool=tmp_path / "spool") as client:
            for _ in range(50):
                client.guard("llm", method="generate", args={"model": "gpt-5.4"})
        assert landed(home, 50) == 50
        ended = cz(home.path, "keys", "list")
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "Gateways and workers go on without it" in ended.stderr
        renew(home, said.append)
        assert "Bundles were not renewed" in said.pop()
        page = AppTest.from_file(app_file(), default_timeout=60).run()
        assert not page.exception
        shown = " ".join(str(piece.proto.body) for piece in page.html)
        assert "Not available now: control plane database" in shown
        own_server.start()
        assert cz(home.path, "keys", "list").returncode == 0
        logs = "".join(path.read_text() for path in home.run.glob("*.log"))
    assert said == []
    assert_hidden(own_server, logs + ended.stdout + ended.stderr + shown)


def landed(home: Home, wanted: int) -> int:
    warehouse = Warehouse.open(home.ledger)

    def held() -> int:
        return sum(warehouse.session(None).query("decisions_landed").column("held").to_pylist())

    until(lambda: held() >= wanted, lambda: f"{wanted} decisions (there are {held()})", within_s=LANDS_S_MAX)
    return held()


def assert_hidden(server: Server, text: str) -> None:
    assert server.password not in text
    assert server.url("x").split(":")[2].split("@")[0] not in text


def app_file() -> Path:
    return Path(__file__).parents[2] / "dashboards" / "app.py"


def test_the_process_that_tends_it_waits_for_it_and_ends_when_told(own_server: Server, tmp_path: Path) -> None:
    own_server.end()
    environment = {**os.environ, "CZ_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "controlplane"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        wait_for_phase(tmp_path, "waiting")
        since = msgspec.json.decode((tmp_path / "run" / "control.json").read_bytes(), type=Beat).troubled_since
        assert since is not None
        own_server.start()
        wait_for_phase(tmp_path, "running")
        own_server.end()
        wait_for_phase(tmp_path, "waiting")
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    wait_for_phase(tmp_path, "stopped")
    assert_hidden(own_server, said.decode())


def wait_for_phase(home: Path, phase: str) -> None:
    beat = home / "run" / "control.json"
    until(lambda: beat.exists() and f'"phase":"{phase}"' in beat.read_text(), phase, within_s=LANDS_S_MAX)
