"""Agents that send to a real broker themselves: killed, or with the broker killed, everything lands once and in order."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from controlzero import Client
from controlzero.secrets_on_disk import master_key
from controlzero.testing import InMemoryGateway
from cz.doctor import Account, examine
from cz.home import Home
from processors.settings import Settings
from tests.dying_agents import deliver_the_rest, kill_agents, nursery, spools
from tests.kafka_broker import Broker
from tests.kafka_reckoning import COUNTED
from tests.kafka_workers import worker
from tests.served_double import served
from tests.waiting import until
from topics import kafka_topics
from topics.batches import decode_batch, expand_lines
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings
from warehouse.delta_log import DeltaLog
from warehouse.lander import app_id, open_ledger
from warehouse.snapshot import Warehouse

KILLS = 12
AGENTS = 3
WAIT_S = 60.0
POLICY = {"rules": [{"effect": "allow", "action": "*"}]}

# Records until it is told to stop, then ends in order: once a broker that has just come back takes what waits, as flush() tries but
# once. What it says is what guard() had returned.
AGENT = """
import select, sys, time, controlzero
client = controlzero.Client()
with open(sys.argv[1], "a", buffering=1) as told:
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        told.write(client.guard("database", method="query", args={"to": "jane@example.com"}).decision_id + "\\n")
given_up_at = time.monotonic() + 40
while not client.flush(5) and time.monotonic() < given_up_at:
    time.sleep(0.2)
sys.exit(0 if client.close(30) else 1)
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own, which may be killed."""
    with Broker(tmp_path_factory.mktemp("broker")) as one:
        kafka_topics.create(KafkaSettings(bootstrap_servers=one.bootstrap))
        yield one


@pytest.fixture(autouse=True)
def _delivers_to_it(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.name_in_environment(monkeypatch)
    monkeypatch.setenv("CONTROLZERO_DELIVERY", "kafka")


def landed(home: Path, broker: Broker) -> None:
    """Let a worker land all that is in the log, into a ledger of its own."""
    master_key(home)
    ledger = Settings(home=home).ledger_path
    open_ledger(ledger, new_id=lambda: home.parent.name)
    log, delta = KafkaLog(KafkaSettings(bootstrap_servers=broker.bootstrap)), DeltaLog(ledger)
    ids = {number: app_id(log.log_id, log.topic_id(DECISIONS.name), number) for number in range(DECISIONS.partitions)}

    def is_at_the_end() -> bool:
        assert one.process.poll() is None, one.log.read_text()
        delta.refresh()
        return all((delta.transaction_version(name) or 0) == log.bounds(DECISIONS.name, number).end for number, name in ids.items())

    with closing(log), worker(home, broker.environment) as one:
        until(is_at_the_end, "landing")


def reckoned(home: Path, project: str, told: set[str]) -> dict[str, Account]:
    """Assert that what was told landed once, each producer's in order; return the producers' accounts."""
    session = Warehouse.open(Settings(home=home).ledger_path).session(project)
    (counted,) = session.sql(COUNTED, {}).to_pylist()
    found = Counter(UUID(bytes=row) for row in session.sql("SELECT decision_id FROM decisions", {}).column("decision_id").to_pylist())
    assert {UUID(one) for one in told} - found.keys() == set()
    assert counted == {"rows": len(found), "numbers": len(found), "ids": len(found), "out_of_order": 0}
    examination = examine(Home(home), now=time.time_ns() // 1000)
    account = examination.projects[project]
    assert (account.balanced, account.gaps, account.quarantined, account.in_flight) == (True, 0, 0, 0)
    return examination.producers[project]


def test_what_guard_returned_lands_once_however_agents_are_killed(broker: Broker, tmp_path: Path) -> None:
    """The next agent adopts the spool of the last, and brings to Kafka what that one had not heard to be there."""
    gateway = InMemoryGateway(policy=POLICY, mode="enforce", project_id="killed")
    with served(gateway) as port:
        url = f"http://127.0.0.1:{port}"
        with nursery(url, tmp_path) as agents:
            kill_agents(agents, kills=KILLS, seed=11, alive_s_max=1.2)
        deliver_the_rest(url, tmp_path)
    assert "POST /v1/decisions" not in gateway.requests
    assert spools(tmp_path) == []
    landed(tmp_path / "home", broker)
    producers = reckoned(tmp_path / "home", "killed", agents.returned())
    assert len(agents.returned()) > KILLS
    ends = Counter(account.end == "closed" for account in producers.values())
    assert ends[True] == 1, "a killed producer's tail is not proven; only the last one ended in order"
    assert ends[False] > KILLS / 2


def test_a_broker_killed_while_agents_record_costs_nothing_and_each_orderly_end_is_proven(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.json").write_text('{"rules": [{"effect": "allow", "action": "*"}]}')
    monkeypatch.setenv("CONTROLZERO_POLICY_FILE", str(tmp_path / "policy.json"))
    monkeypatch.setenv("CONTROLZERO_PROJECT_ID", "broken")
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("KAFKA_DELIVERY_TIMEOUT_MS", "1000")  # less than the broker is away: deliveries are given up
    told = [tmp_path / f"told-{number}" for number in range(AGENTS)]
    with ExitStack() as stack:
        agents = [stack.enter_context(_agent(path)) for path in told]
        _until_more(told)
        broker.end(signal.SIGKILL)
        _until_more(told)
        broker.start()
        _until_more(told)
        for agent in agents:
            agent.communicate(b"stop\n", timeout=WAIT_S)
        assert [agent.returncode for agent in agents] == [0] * AGENTS
    assert spools(tmp_path) == []
    landed(tmp_path / "home", broker)
    producers = reckoned(tmp_path / "home", "broken", {line for path in told for line in path.read_text().split()})
    assert {account.end for account in producers.values()} == {"closed"}
    assert sum(account.landed for account in producers.values()) == sum(_lines(path) for path in told)


def _agent(told: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", AGENT, str(told)], stdin=subprocess.PIPE)


def _until_more(told: list[Path]) -> None:
    before = [_lines(path) for path in told]
    until(lambda: all(_lines(path) > count + 200 for path, count in zip(told, before, strict=True)), "recording")


def _lines(told: Path) -> int:
    return told.read_bytes().count(b"\n") if told.exists() else 0


@pytest.fixture
def small_messages(broker: Broker) -> Iterator[int]:
    """Let the topic take no message above this many bytes."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, DECISIONS.name)
    was = next(iter(admin.describe_configs([resource]).values())).result()["max.message.bytes"].value

    def put(value: str) -> None:
        entry = ConfigEntry("max.message.bytes", value, incremental_operation=AlterConfigOpType.SET)
        changed = ConfigResource(ResourceType.TOPIC, DECISIONS.name, incremental_configs=[entry])
        next(iter(admin.incremental_alter_configs([changed]).values())).result()

    put("20000")
    yield 20_000
    put(was)


def test_a_batch_that_the_topic_does_not_take_is_split_and_a_record_too_large_is_reported(
    broker: Broker, tmp_path: Path, small_messages: int
) -> None:
    gateway = InMemoryGateway(policy=POLICY, project_id="large")
    noise = random.Random(13)
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
        for number in range(100):
            size = 3 * small_messages if number == 50 else 500
            cz.guard("database", method="query", args={"note": noise.randbytes(size).hex()})
        assert cz.flush(WAIT_S)
    log = KafkaLog(KafkaSettings(bootstrap_servers=broker.bootstrap))
    messages = [
        message
        for number in range(DECISIONS.partitions)
        for message in log.read(DECISIONS.name, number, log.bounds(DECISIONS.name, number).start, bytes_max=2**30)
        if message.headers["project"] == "large"
    ]
    log.close()
    batches = [decode_batch(message) for message in messages]
    assert [batch.first_seq for batch in batches] == [sum(batch.count for batch in batches[:place]) for place in range(len(batches))]
    assert max(len(batch.value) for batch in batches) < small_messages
    assert (batches[-1].closed, batches[-1].total) == (True, 100)
    lines = b"".join(expand_lines(batch.value) for batch in batches).splitlines()
    assert [place for place, line in enumerate(lines) if b'"kind":"loss"' in line] == [50]
