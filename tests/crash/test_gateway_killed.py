"""The gateway killed under load, at any of its writes and syncs or at any time: what it answered 202 is in the log, once and whole."""

import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from controlzero.records import Decision
from tests.gateways import AUTHORIZED, RunningGateway, batches, lines, prepared, records, running_gateway, wait_until_ready

CLIENTS = 6
LINES = (1, 3, 40)
LOAD_S_MAX = 20.0


class Sender(threading.Thread):
    """Delivers batches one after the other until the gateway is gone, and remembers what was answered."""

    def __init__(self, gateway: RunningGateway, name: str) -> None:
        super().__init__()
        self.gateway = gateway
        self.producer_id = name
        self.sent: list[tuple[int, int]] = []  # first number, lines
        self.acknowledged: list[tuple[int, int]] = []

    def run(self) -> None:
        chance = random.Random(self.producer_id)
        first = 0
        give_up_at = time.monotonic() + LOAD_S_MAX
        with self.gateway.client() as client:
            while time.monotonic() < give_up_at:
                count = chance.choice(LINES)
                headers = {**AUTHORIZED, "CZ-Producer": self.producer_id, "CZ-First-Seq": str(first)}
                self.sent.append((first, count))
                try:
                    answer = client.post("/v1/decisions", content=lines(count, first=first), headers=headers)
                except httpx.TransportError:
                    return
                assert answer.status_code == 202, answer.text
                self.acknowledged.append((first, count))
                first += count


def load_until_gone(gateway: RunningGateway, name: str) -> list[Sender]:
    senders = [Sender(gateway, f"{name}-{number}") for number in range(CLIENTS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return senders


def assert_all_there_once(home: Path, senders: list[Sender]) -> int:
    """Check the log against what senders were answered; return how many batches were acknowledged."""
    held = Counter((batch.producer_id, batch.first_seq, batch.count) for batch in batches(home))
    for sender in senders:
        for first, count in sender.acknowledged:
            assert held[sender.producer_id, first, count] == 1
    sent = {(sender.producer_id, first, count) for sender in senders for first, count in sender.sent}
    assert set(held) <= sent
    assert set(held.values()) == {1}
    for batch in batches(home):
        expected = [f"01990000-0000-7000-8000-{batch.first_seq + place:012x}" for place in range(batch.count)]
        assert [record.decision_id for record in records(batch) if isinstance(record, Decision)] == expected
    return sum(len(sender.acknowledged) for sender in senders)


def kill_at_calls(home: Path, *, seed: int, kills: int) -> int:
    chance = random.Random(seed)
    senders: list[Sender] = []
    for number in range(kills):
        call = chance.choice(("pwrite64", "fdatasync"))
        when = chance.randint(1, {"pwrite64": 400, "fdatasync": 60}[call])
        traced = (
            "strace",
            "-f",
            "-qqq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=SIGKILL:when={when}",
        )
        with running_gateway(home, *traced) as gateway:
            with suppress(httpx.TransportError):  # it may be killed while it opens the log
                wait_until_ready(gateway)
                senders += load_until_gone(gateway, f"call-{seed}-{number}")
            assert gateway.process.wait(30) != 0
    return assert_all_there_once(home, senders)


def kill_at_any_time(home: Path, *, seed: int, kills: int) -> int:
    chance = random.Random(seed)
    senders: list[Sender] = []
    for number in range(kills):
        with running_gateway(home) as gateway:
            wait_until_ready(gateway)
            killer = threading.Timer(chance.random() * 0.8, gateway.process.send_signal, (signal.SIGKILL,))
            killer.start()
            senders += load_until_gone(gateway, f"time-{seed}-{number}")
            killer.join()
    return assert_all_there_once(home, senders)


@pytest.mark.needs("strace")
def test_a_gateway_killed_at_its_writes_and_syncs_keeps_its_word(tmp_path: Path) -> None:
    assert kill_at_calls(prepared(tmp_path), seed=1, kills=4) > 20


def test_a_gateway_killed_at_any_time_keeps_its_word(tmp_path: Path) -> None:
    assert kill_at_any_time(prepared(tmp_path), seed=2, kills=3) > 20
