"""Workers over Kafka under a seeded sequence of faults, while producers go on; then everything is counted."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from msgspec import Raw

from controlzero.batch import Batch, compress_lines, encode_batch
from controlzero.errors import Unavailable
from controlzero.records import Decision, encode_record
from controlzero.secrets_on_disk import master_key
from processors.settings import Settings
from tests.kafka_broker import Broker
from tests.kafka_workers import Worker
from topics import kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.log import NewMessage
from topics.settings import KafkaSettings
from warehouse.delta_log import DeltaLog
from warehouse.lander import app_id, open_ledger

WORKERS = 3
PRODUCERS = 8
BATCH = 500
STOPPED_S = 9.0  # longer than the session of a worker: it wakes as a zombie
BROKER_AWAY_S = 2.0
RECOVERS_S_MAX = 15.0
DRAINS_S_MAX = 240.0
FAULTS = ("kill", "kill", "kill", "join", "leave", "stop", "kill", "broker")

_RECORD = encode_record(
    Decision(
        decision_id="@",
        occurred_at=1_764_500_000_000_000,
        action="database:query",
        mode="log-only",
        effect="allow",
        verdict="allow",
        agent_id="sales-agent",
        args=Raw(b'{"table":"orders","limit":100,"note":"what is open, newest first"}'),
    )
)
_HEAD, _, _TAIL = _RECORD.partition(b"@")

# A message of one line for each way not to land, and the reason that quarantine must have for it.
POISON = {
    "bad zstd": (b"this is no zstd", "is not zstd"),
    "bad JSON": (compress_lines(b'{"kind":"decision","torn\n'), "Input data was truncated"),
    "wrong types": (compress_lines(_HEAD + b"%036d" % 0 + _TAIL.replace(b'"log-only"', b"7") + b"\n"), "Expected `str`, got `int`"),
    "oversize": (b"\x28\xb5\x2f\xfd\xe0" + (16 << 30).to_bytes(8, "little") + b"\x01\x00\x00", "states 17179869184 bytes expanded"),
}
FOREIGN = "no project is named"  # the reason for what another program wrote, without a header of ours


@dataclass
class Fought:
    """What was done, and how long each fault kept partitions from moving."""

    sent: set[tuple[str, int]] = field(default_factory=set)  # (producer, first number) of each acknowledged batch
    poison: list[tuple[str | None, str]] = field(default_factory=list)  # (producer, reason) of each message that cannot land
    faults: list[str] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)


def faults(seed: int) -> Iterator[str]:
    """Yield faults without end, the same for the same seed: all of them in some order, then again."""
    random = Random(seed)
    while True:
        yield from random.sample(FAULTS, len(FAULTS))


def batch_of(producer: int, first: int, count: int = BATCH) -> NewMessage:
    """Return a producer's batch: always the same under the same numbers."""
    lines = b"".join(_HEAD + b"%08x-0000-4000-8000-%012x" % (producer, seq) + _TAIL + b"\n" for seq in range(first, first + count))
    return _message(f"producer-{producer}", first, count, compress_lines(lines))


def poison(number: int) -> tuple[NewMessage, str | None, str]:
    """Return a message that cannot land, each kind in its turn, with its producer and the reason."""
    kinds = list(POISON.values())
    turn = number % (len(kinds) + 1)
    if turn == len(kinds):
        return (b"who knows", b"written by another program", {}), None, FOREIGN
    value, reason = kinds[turn]
    return _message(f"poison-{number}", 0, 1, value), f"poison-{number}", reason


def _message(producer: str, first: int, count: int, value: bytes) -> NewMessage:
    return encode_batch(
        Batch(
            project_id="nemesis",
            producer_id=producer,
            first_seq=first,
            count=count,
            total=first + count,
            received_at=time.time_ns() // 1000,
            value=value,
        )
    )


class Battle:
    """Producers, workers, the ledger's keeper and a broker; `fight` breaks them one after the other."""

    def __init__(self, folder: Path, *, seed: int, decisions: int, per_s: float) -> None:
        self.home = folder / "home"
        self._faults = faults(seed)
        self._random, self._sending = Random(f"whom and when, {seed}"), Random(f"what is sent, {seed}")
        self._decisions, self._per_s = decisions, per_s
        self._broker = Broker(folder / "broker").start()
        self.kafka = KafkaSettings(bootstrap_servers=self._broker.bootstrap, delivery_timeout_ms=5_000)
        kafka_topics.create(self.kafka)
        self.log = KafkaLog(self.kafka)
        master_key(self.home)
        ledger = Settings(home=self.home).ledger_path
        open_ledger(ledger, new_id=lambda: "nemesis")
        self._ledger = DeltaLog(ledger)
        self._ids = {number: app_id(self.log.log_id, self.log.topic_id(DECISIONS.name), number) for number in range(DECISIONS.partitions)}
        self._workers: list[Worker] = []
        self._keeper = subprocess.Popen(  # merges what they land, as in the product: opening thousands of commits takes seconds
            [sys.executable, "-m", "warehouse"], env={**os.environ, "CZ_HOME": str(self.home)}, stderr=subprocess.DEVNULL
        )
        self.fought = Fought()
        self._faults_are_over = threading.Event()
        self._failed: list[BaseException] = []

    def fight(self, kills: int) -> Fought:
        """Let producers go on while `kills` workers are killed, and as many other faults as come in between; then drain."""
        producing = threading.Thread(target=self._produce)
        for _ in range(WORKERS):
            self._join()
        producing.start()
        try:
            self._until_moving()
            while self.fought.faults.count("kill") < kills:
                time.sleep(self._random.uniform(0.5, 2.0))
                self._do(next(self._faults))
        finally:
            self._faults_are_over.set()
            producing.join()
        if self._failed:
            raise self._failed[0]
        self._until(lambda: self.landed() == self.ends(), DRAINS_S_MAX, "draining")
        return self.fought

    def landed(self) -> dict[int, int]:
        """Return where each partition goes on from, by the ledger."""
        self._ledger.refresh()
        return {number: self._ledger.transaction_version(name) or 0 for number, name in self._ids.items()}

    def ends(self) -> dict[int, int]:
        """Return where each partition of the log ends."""
        return {number: self.log.bounds(DECISIONS.name, number).end for number in self._ids}

    def close(self) -> None:
        """End every process."""
        self._keeper.kill()
        self._keeper.wait()
        for worker in self._workers:
            worker.kill()
        self.log.close()
        self._broker.end(signal.SIGKILL)

    def _do(self, fault: str) -> None:
        recovered_s = 0.0
        if fault == "join" or (fault in ("leave", "stop") and len(self._workers) == 1):
            self._join()
        if fault == "leave":
            self._workers.pop(self._random.randrange(len(self._workers))).stop()
        elif fault == "kill":
            self._workers.pop(self._random.randrange(len(self._workers))).kill()
            self._join()  # as its supervisor would
        elif fault == "stop":
            zombie = self._random.choice(self._workers).process
            zombie.send_signal(signal.SIGSTOP)
            recovered_s = self._until_moving()  # without it
            time.sleep(max(0.0, STOPPED_S - recovered_s))
            zombie.send_signal(signal.SIGCONT)
        elif fault == "broker":
            self._broker.end(signal.SIGKILL)
            time.sleep(BROKER_AWAY_S)
            self._broker.start()
        if len(self._workers) > WORKERS + 1:
            self._workers.pop(0).stop()
        self.fought.faults.append(fault)
        self.fought.recovered_s.append(max(recovered_s, self._until_moving()))

    def _join(self) -> None:
        self._workers.append(Worker(self.home, {"KAFKA_BOOTSTRAP_SERVERS": self._broker.bootstrap}, name=f"worker-{time.monotonic_ns()}"))

    def _until_moving(self) -> float:
        """Wait until every partition has landed something that was sent from now on; return how long that took."""
        began, ends = time.monotonic(), self.ends()

        def moves() -> bool:
            now = self.landed()
            return all(now[number] > ends[number] for number in now)

        self._until(moves, RECOVERS_S_MAX * 4, f"moving after {self.fought.faults[-1:]}")
        return time.monotonic() - began

    def _said(self) -> str:
        """Return the last words of broker and workers."""
        logs = sorted((self.home / "run").glob("worker-*.log"), key=lambda path: path.stat().st_mtime)[-WORKERS - 2 :]
        return "\n".join(f"== {path.name}\n{path.read_text()[-1500:]}" for path in (*logs, self.home.parent / "broker" / "broker.log"))

    def _until(self, is_so: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline, (
                f"{what}: not within {within_s:g} s; landed {self.landed()} of {self.ends()}\n{self.fought.faults}\n{self._said()}"
            )
            dead = [worker for worker in self._workers if worker.process.poll() is not None]
            for worker in dead:  # as its supervisor would
                self._workers.remove(worker)
                self._join()
            time.sleep(0.1)

    def _produce(self) -> None:
        try:
            self._send_all()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._failed.append(error)

    def _send_all(self) -> None:
        began, count = time.monotonic(), 0
        for message, key in self._messages():
            self._append(message)
            if key is not None:
                self.fought.sent.add(key)
                count += BATCH
            if count >= self._decisions and self._faults_are_over.is_set():
                return
            ahead_s = began + count / self._per_s - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)

    def _messages(self) -> Iterator[tuple[NewMessage, tuple[str, int] | None]]:
        """Yield messages without end, with what each is the first of: batches, some of them again, and poison."""
        random = self._sending
        reached = dict.fromkeys(range(PRODUCERS), 0)
        while True:
            producer = random.randrange(PRODUCERS)
            first = reached[producer]
            yield batch_of(producer, first), (f"producer-{producer}", first)
            reached[producer] += BATCH
            chance = random.random()
            if chance < 0.03:
                yield batch_of(producer, first), None
            elif chance < 0.04 and first:
                yield batch_of(producer, first - BATCH // 2), None
            elif chance < 0.06:
                message, producer_id, reason = poison(len(self.fought.poison))
                self.fought.poison.append((producer_id, reason))  # first: whoever sends it may ask for no more
                yield message, None

    def _append(self, message: NewMessage) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                self.log.append(DECISIONS.name, [message])
            except Unavailable:
                assert time.monotonic() < deadline, "the broker did not come back"
                time.sleep(0.2)
            else:
                return
