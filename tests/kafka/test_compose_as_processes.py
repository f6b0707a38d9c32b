"""docker-compose.yml without containers: each service by its own command, environment and health check, and a real broker and Postgres."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controlzero import Client
from tests import compose_file, postgres_server, s3_server
from tests.kafka_broker import Broker
from tests.ports import free_port
from tests.postgres_server import Server
from tests.waiting import until, until_up

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.needs("s3")]
READY_S_MAX = 120.0
LANDS_S_MAX = 120.0


@dataclass
class Started:
    """The services as processes over `folder`, each with what it wrote."""

    folder: Path
    places: Mapping[str, str]  # what stands in the file, and what stands in for it here
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: run_here(compose_file.services()))
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Return a word of the file as it is to be said on this machine."""
        there = "|".join(map(re.escape, sorted(self.places, key=len, reverse=True)))
        return re.sub(there, lambda found: self.places[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        """Return what the service knows, and nothing of this process but where programs are."""
        said = self.services[name].get("environment", {})
        programs = (
            f"{Path(sys.executable).parent}:{s3_server.binary().parent}:{os.environ['PATH']}"  # `python`, `cz` and `faust`; the store
        )
        return {"PATH": programs, "HOME": str(self.folder), **{key: self.here(str(value)) for key, value in said.items()}}

    def command(self, name: str, *instead: str) -> list[str]:
        """Return the service's command line; with `instead`, another one in its place, as `docker compose run` has it."""
        service = self.services[name]
        words = [*service["entrypoint"], *(instead or service["command"])]
        return [self.here(word) for word in words]

    def start(self, name: str, *, number: int = 1) -> None:
        """Start a service that stays."""
        with (self.folder / f"{name}-{number}.log").open("ab") as log:
            self.running[f"{name}-{number}"] = subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, name: str, *instead: str) -> str:
        """Run a service that ends, or another command in one that stays, and return what it printed."""
        done = subprocess.run(
            self.command(name, *instead),
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S_MAX,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        return done.stdout

    def wait_until_well(self, name: str) -> None:
        """Ask the service's own health check until it is content."""
        check = self.services[name]["healthcheck"]["test"]
        assert check[0] == "CMD"
        until_up(
            self.running[f"{name}-1"],
            lambda: self._is_well(name, check[1:]),
            lambda: f"{name}: {self.log(name)[-3000:]}",
            within_s=READY_S_MAX,
        )

    def _is_well(self, name: str, check: list[str]) -> bool:
        command = [self.here(word) for word in check]
        return subprocess.run(command, env=self.environment(name), cwd=self.folder, capture_output=True, check=False).returncode == 0

    def log(self, name: str) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}-*.log")))

    def stop(self) -> dict[str, int]:
        """Stop them as Compose does, whoever is waited for last; return how each ended within its time of grace."""
        ended = {}
        for name, process in reversed(self.running.items()):
            grace_s = float(self.services[name.rpartition("-")[0]].get("stop_grace_period", "10s").removesuffix("s"))
            process.send_signal(signal.SIGTERM)
            try:
                ended[name] = process.wait(grace_s)
            except subprocess.TimeoutExpired:
                ended[name] = -signal.SIGKILL
        return ended

    def kill(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Everything of the file, in the order it says."""
    folder = tmp_path_factory.mktemp("compose")
    for name in ("data", "database", "store", "objects"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", broker_settings()))
        server = stack.enter_context(postgres_server.running())
        all_of_it = Started(folder, places=places(folder, broker, server))
        stack.callback(all_of_it.kill)
        all_of_it.run("secrets")
        password = (folder / "database" / "password").read_text()
        server.ask(f"CREATE ROLE controlzero LOGIN PASSWORD '{password}'")
        server.ask("CREATE DATABASE controlzero OWNER controlzero")
        for name in in_order(all_of_it.services):
            if name in ("secrets", "topics"):
                all_of_it.run(name)
                continue
            for number in range(all_of_it.services[name].get("deploy", {}).get("replicas", 1)):
                all_of_it.start(name, number=number + 1)
            if "healthcheck" in all_of_it.services[name]:
                all_of_it.wait_until_well(name)
        yield all_of_it


def run_here(services: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the services whose commands are the file's own; broker and database run as their images have them."""
    return {name: service for name, service in services.items() if "command" in service}


def places(folder: Path, broker: Broker, server: Server) -> dict[str, str]:
    """Return what stands in for the file's hosts, ports and folders."""
    api, pages, store = (free_port() for _ in range(3))
    return {
        "/run/database": str(folder / "database"),
        "/run/store": str(folder / "store"),
        "/var/lib/controlzero": str(folder / "data"),
        "/data": str(folder / "objects"),
        "kafka:9092": broker.bootstrap,
        "postgres:5432": f"127.0.0.1:{server.port}",
        "store:7070": f"127.0.0.1:{store}",
        "127.0.0.1:7070": f"127.0.0.1:{store}",
        "--port :7070": f"--port 127.0.0.1:{store}",
        "gateway:8700": f"127.0.0.1:{api}",
        "0.0.0.0": "127.0.0.1",
        "8700": str(api),
        "8501": str(pages),
    }


def broker_settings() -> str:
    """Return the broker's environment as its image turns it into settings, with gaps for what is of this machine."""
    here = {
        "INSIDE://:9092": "INSIDE://127.0.0.1:{port}",
        "kafka:9092": "127.0.0.1:{port}",
        "CONTROLLER://:9093": "CONTROLLER://127.0.0.1:{control_port}",
        "kafka:9093": "127.0.0.1:{control_port}",
        "OUTSIDE://:9094": f"OUTSIDE://127.0.0.1:{(outside := free_port())}",
        "127.0.0.1:9094": f"127.0.0.1:{outside}",
        "/var/lib/kafka/data": "{data}",
    }
    lines = []
    for name, value in compose_file.services()["kafka"]["environment"].items():
        if name != "KAFKA_HEAP_OPTS":  # Java's, not the broker's
            said = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], str(value))
            lines.append(f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={said}")
    return "\n".join(lines) + "\n"


def in_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the services so that each comes after those it waits for."""
    ordered: list[str] = []
    while len(ordered) < len(services):
        waiting = [name for name in services if name not in ordered]
        ordered += [name for name in waiting if set(services[name].get("depends_on", {})) & set(waiting) == set()]
    return ordered


def answer(started: Started, *arguments: str) -> Any:
    return json.loads(started.run("dashboards", "cz", *arguments, "--json"))


def test_secrets_are_made_once_and_for_those_alone_who_use_them(started: Started) -> None:
    kept = {path: path.read_bytes() for path in (started.folder / "database" / "pgpass", started.folder / "store" / "keys.env")}
    started.run("secrets")
    assert {path: path.read_bytes() for path in kept} == kept
    assert [path.stat().st_mode & 0o077 for path in kept] == [0, 0]
    secrets = {line.rpartition("=")[2].rpartition(":")[2] for content in kept.values() for line in content.decode().split()}
    assert len(secrets) == 3
    for secret in secrets:
        assert len(secret) == 48
        assert not any(secret in started.log(name) for name in started.services)


def test_the_demonstration_lands_in_the_store_and_the_doctor_finds_nothing(started: Started) -> None:
    said(started, "demo", "are at work")
    began_at = datetime.now(UTC)

    def live() -> set[str]:
        return {one["agent_id"] for one in decisions(started) if datetime.fromisoformat(one["occurred_at"]) > began_at}

    def failing() -> list[Any]:
        return [check for check in examined(started) if not check["ok"]]

    until(lambda: len(live()) >= 3, lambda: started.log("demo")[-2000:] + started.log("worker")[-3000:], within_s=LANDS_S_MAX)
    until(lambda: failing() == [], failing, within_s=LANDS_S_MAX)
    assert list((started.folder / "objects" / "controlzero").rglob("*.parquet"))
    assert not list((started.folder / "data" / "warehouse").rglob("*.parquet"))


def test_a_policy_by_command_is_in_the_database_and_judges_an_agent(started: Started) -> None:
    (started.folder / "policy.json").write_text('{"name": "open", "rules": [{"effect": "allow", "action": "llm:*"}]}')
    started.run("control", "cz", "project", "create", "other")
    started.run("control", "cz", "policy", "apply", str(started.folder / "policy.json"), "--project", "other")
    key = started.run("control", "cz", "keys", "create", "--project", "other", "--quiet").strip()
    url = started.environment("demo")["CONTROLZERO_BASE_URL"]
    with Client(agent_id="ada", api_key=key, base_url=url, spool=started.folder / "spool") as client:
        assert client.guard("llm", method="generate").verdict == "allow"
        assert client.guard("shell", method="run").verdict == "deny"
    assert not (started.folder / "data" / "control.db").exists()


def test_started_again_the_demonstration_goes_on_with_the_key_it_kept(started: Started) -> None:
    keys = key_ids(started)
    started.running["demo-1"].send_signal(signal.SIGTERM)
    assert started.running["demo-1"].wait(30) == 0
    started.start("demo", number=1)
    said(started, "demo", "are at work", times=2)
    assert key_ids(started) == keys


def test_stopped_every_service_ends_in_time_and_in_order(started: Started) -> None:
    assert {name: code for name, code in started.stop().items() if code not in (0, -signal.SIGTERM)} == {}


def key_ids(started: Started) -> list[str]:
    """Return the keys there are: when each was last used changes meanwhile."""
    return [key["key_id"] for key in answer(started, "keys", "list", "--project", "acme")]


def said(started: Started, name: str, words: str, *, times: int = 1) -> None:
    """Wait until a service has said it."""
    until(lambda: started.log(name).count(words) >= times, lambda: started.log(name)[-3000:], within_s=READY_S_MAX)


def decisions(started: Started) -> list[Any]:
    lines = started.run("dashboards", "cz", "decisions", "--project", "acme", "--json").splitlines()
    return [json.loads(line) for line in lines]


def examined(started: Started) -> list[Any]:
    """Return the doctor's checks; live agents are always a moment ahead of what has landed."""
    service = ("dashboards", "cz", "doctor", "--json")
    done = subprocess.run(
        started.command(*service), env=started.environment("dashboards"), cwd=started.folder, capture_output=True, text=True, check=False
    )
    return list(json.loads(done.stdout)["checks"])
