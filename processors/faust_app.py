"""`faust -A processors.faust_app worker -l info`: a worker over Kafka. It holds no logic.

Faust shares the partitions among workers and brings their messages; the ledger owns the offsets. So wherever Faust would
seek to what its group committed, it is sent to what has landed, and an error that the pipeline cannot quarantine ends the
process: Faust would acknowledge the message and go on.
"""

import asyncio
import atexit
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import faust
import structlog
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables.manager import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

from controlzero.errors import ControlZeroError, Rejected, Unavailable
from processors import heartbeat as heartbeats
from processors import log_lines
from processors.heartbeat import Heartbeat, Told
from processors.intake import Intake
from processors.pacing import BEAT_EVERY_S, DRAIN_S_MAX
from processors.settings import Settings
from processors.work import new_id, now_us, open_work
from topics import kafka_clients
from topics.declarations import DECISIONS
from topics.heartbeat import write_if_possible
from topics.kafka import KafkaLog
from topics.log import Log
from topics.settings import KafkaSettings, ending_in_a_sentence
from warehouse.lander import ledger_id

SESSION_S = 6.0  # a worker that died is missed after this; its partitions go to the others
FETCH_WAIT_MS = 100  # for messages, where there are none
BUFFERED_MESSAGES = 64  # by Faust, of a partition: a message is a batch

with ending_in_a_sentence():
    settings, kafka = Settings(), KafkaSettings()
    group = f"controlzero-{ledger_id(settings.ledger_path, new_id=new_id)}"
log_lines.configure()
_logger = structlog.get_logger("processors")


def _opened() -> tuple[Log, Any]:
    log = KafkaLog(kafka)
    return log, open_work(settings, log)


intake = Intake(_opened, tick_s=settings.worker_tick_ms / 1000)
_told = Told(Heartbeat(pid=os.getpid(), at=now_us(), started_at=now_us()))


class PromptThread(AIOKafkaConsumerThread):
    """A consumer's thread that keeps nobody waiting.

    Faust's fetches wait 1.5 s for messages, and one under way where a partition begins is waited for to its end. And where a
    cancelled fetch cuts the thread's end short, Faust does not hear of it, and waits a minute for an end that was there.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - aiokafka's own argument; Faust has no setting for it
        return consumer

    def _start_thread(self) -> None:
        try:
            super()._start_thread()
        finally:
            self.set_shutdown()


class LandedConsumer(Consumer):
    """A consumer that goes on from what has landed, whatever its group committed."""

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the landed offsets, after each rebalance; this is the one method that Faust positions itself by."""
        committed = await super().seek_to_committed()
        mine = {tp.partition: tp for tp in self.assignment() if tp.topic == DECISIONS.name}
        try:
            landed = await intake.begin(mine)
        except ControlZeroError as error:
            _end(error)
        offsets = {mine[partition]: offset for partition, offset in landed.items()}
        if offsets:
            await self.seek_wait(offsets)
        return {**committed, **offsets}


class LandedTransport(Transport):
    """The transport with that consumer."""

    Consumer = LandedConsumer


class WholeAssignor(PartitionAssignor):
    """An assignor that never shares out nothing.

    A broker that has just started may not tell of its topics yet. Faust's leader would leave out the one that is missing,
    and its group would stay without partitions, in silence, until somebody joins.
    """

    def assign(self, cluster: Any, member_metadata: Any) -> Any:
        """Share out the partitions, or end this worker: the next leader asks anew."""
        if not cluster.partitions_for_topic(DECISIONS.name):
            _end(
                Unavailable(
                    f"Kafka does not tell of the topic {DECISIONS.name}; if `cz topics list` has it missing, make it with `cz topics create`"
                )
            )
        return super().assign(cluster, member_metadata)


class Worker(faust.Worker):
    """A worker without a web server, nor its address on the banner: /metrics is served as the embedded worker serves it.

    And one that ends when all it did has ended: mode's sleeps a second more.
    """

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        app.conf.web_enabled = False  # here, past the command's own option, whose default is to start one
        super().__init__(app, *services, **options)

    async def _sentinel_task(self) -> None:
        pass


class NoTables(TableManager):
    """There are no tables: Faust's sleeps a second at the start, for some to come."""

    async def on_start(self) -> None:
        """Go on at once."""
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """Faust's application with that transport."""

    def _new_transport(self) -> LandedTransport:
        return LandedTransport(self.conf.broker_consumer, self)


def _credentials() -> Any:
    context = kafka_clients.tls(kafka)
    if kafka.security_protocol.startswith("SASL"):
        password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
        return faust.SASLCredentials(username=kafka.sasl_username, password=password, ssl_context=context, mechanism=kafka.sasl_mechanism)
    return faust.SSLCredentials(context) if context is not None else None


# Workers of one ledger share the partitions; another ledger over the same brokers lands everything for itself.
app = App(
    group,
    broker=[f"kafka://{server.strip()}" for server in (kafka.bootstrap_servers or "localhost:9092").split(",")],
    broker_credentials=_credentials(),
    PartitionAssignor=WholeAssignor,
    TableManager=NoTables,
    Worker=Worker,
    broker_session_timeout=SESSION_S,
    broker_heartbeat_interval=SESSION_S / 3,
    broker_commit_interval=1.0,
    consumer_auto_offset_reset="earliest",
    consumer_max_fetch_size=kafka_clients.FETCH_BYTES,
    stream_buffer_maxsize=BUFFERED_MESSAGES,
    stream_wait_empty=False,  # what is held and not landed is read again: to wait for it is to wait for nobody
    topic_allow_declare=False,
    topic_disable_leader=True,
    datadir=str(settings.run_path / "faust"),
)


@app.on_worker_init.connect
def prepare(*_: Any, **__: Any) -> None:
    """Open log and ledger while Faust starts."""
    if kafka.bootstrap_servers is None:
        _end(
            Rejected(
                "KAFKA_BOOTSTRAP_SERVERS is not set: name the brokers, such as host:9092; without Kafka the worker is `python -m processors`"
            )
        )
    settings.run_path.mkdir(parents=True, exist_ok=True)
    _wait_for_the_topic()
    intake.prepare()


def _wait_for_the_topic() -> None:
    """Wait for brokers, and for the topic on them: Faust would end with a traceback."""
    log, has_said = KafkaLog(kafka), False
    while True:
        try:
            log.topic_id(DECISIONS.name)
        except Unavailable as error:
            if not has_said:
                _logger.warning("Waiting to start.", why=str(error))
            has_said = True
            time.sleep(error.retry_after_s or BEAT_EVERY_S)
        else:
            log.close()
            return


@app.agent(app.topic(DECISIONS.name, key_serializer="raw", value_serializer="raw"), concurrency=1)
async def decisions(stream: Any) -> None:
    """Hand over each message; it is acknowledged when it has landed."""
    async for event in stream.noack().events():
        await intake.take(event)


@app.task  # type: ignore[untyped-decorator]
async def land() -> None:
    """Land what was handed over."""
    if settings.worker_metrics_port is not None:
        heartbeats.serve(_told, port=settings.worker_metrics_port)
    try:
        await intake.run(lambda: app.should_stop)
    except Exception as error:  # noqa: BLE001 - whatever it is, going on would pass over messages
        _end(error)


@app.task  # type: ignore[untyped-decorator]
async def beat() -> None:
    """Say how it goes; with brokers away that takes as long as they are waited for, of which a timer would warn each time."""
    while not app.should_stop:
        _tell(await asyncio.to_thread(intake.look))
        await asyncio.sleep(BEAT_EVERY_S)


def _tell(heartbeat: Heartbeat | None) -> None:
    if heartbeat is not None:
        _told.heartbeat = heartbeat
        write_if_possible(settings.run_path / f"worker-{socket.gethostname()}-{os.getpid()}.json", heartbeat)


@app.on_before_shutdown.connect
async def drain(*_: Any, **__: Any) -> None:
    """Land what is held before the partitions go to others."""
    await asyncio.wait_for(intake.drain(), DRAIN_S_MAX)
    _tell(await asyncio.to_thread(intake.end))
    atexit.register(os._exit, 0)  # DuckDB's binding would fill the log with what it calls leaks: Faust holds on to what held it


def _end(error: BaseException) -> Any:
    """End the process for its supervisor: what was not landed is read again, by the next."""
    _logger.error("The worker stops; what was accepted waits in the log.", why=str(error), kind=type(error).__name__)
    sys.stderr.flush()
    os._exit(1)
