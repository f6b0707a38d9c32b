"""The log on Kafka: the topics of a cluster, for any number of gateways, workers and followers.

Appends are acknowledged by all in-sync replicas. A call that raises may still have appended some of its messages: Kafka
cannot tell. Senders send again, and workers find the duplicates by producer and number.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from controlzero.batch import partition_of
from controlzero.errors import Unavailable
from topics import kafka_clients
from topics.kafka_clients import ADMIN_S_MAX, RETRY_AFTER_S, errors_explained
from topics.log import Bounds, Message, NewMessage, Place
from topics.settings import KafkaSettings

CLOSE_S_MAX = 2.0  # for what was not acknowledged: its senders have been told, and send again
POLL_MS = 200  # a fetch under way is asked for again after this
T = TypeVar("T")
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)


class KafkaLog:
    """A `topics.log.Log` on the brokers of the settings. Threads may share one.

    Raises `Unavailable` where the brokers do not answer, or the topics are not made yet.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._wait_s_max = settings.delivery_timeout_ms / 1000
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka", daemon=True)
        self._thread.start()
        self._admin = kafka_clients.admin(settings)
        self._producer: AIOKafkaProducer | None = None
        self._producing = asyncio.Lock()
        self._leaving: dict[asyncio.Task[None], AIOKafkaProducer] = {}
        self._asking = _Asking(settings)
        self._readers: dict[TopicPartition, _Reader] = {}
        self._log_id: str | None = None
        self._topics: dict[str, tuple[str, int]] = {}

    @property
    def log_id(self) -> str:
        """The cluster's id."""
        if self._log_id is None:
            with errors_explained(self._settings):
                self._log_id = str(self._admin.describe_cluster(request_timeout=ADMIN_S_MAX).result().cluster_id)
        return self._log_id

    def topic_id(self, topic: str) -> str:
        """Return the id the cluster gave the topic when it was made."""
        return self._topic(topic)[0]

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        return self._topic(topic)[1]

    def _topic(self, name: str) -> tuple[str, int]:
        if name not in self._topics:
            with errors_explained(self._settings):
                described = kafka_clients.described(self._admin, name)
            if described is None:
                where = self._settings.bootstrap_servers
                raise Unavailable(f"Kafka at {where} has no topic {name}; make it with `cz topics create`", retry_after_s=RETRY_AFTER_S)
            self._topics[name] = str(described.topic_id), len(described.partitions)
        return self._topics[name]

    def append(self, topic: str, messages: Sequence[NewMessage]) -> list[Place]:
        """Append messages; return their (partition, offset) once all in-sync replicas have them."""
        partitions = self.partitions(topic)
        return self._run(self._append(topic, partitions, messages))

    async def _append(self, topic: str, partitions: int, messages: Sequence[NewMessage]) -> list[Place]:
        producer = await self._started_producer()
        try:
            async with asyncio.timeout(self._wait_s_max):
                sent = [
                    await producer.send(
                        topic,
                        value,
                        key,
                        partition=partition_of(key, partitions),
                        headers=[(name, text.encode()) for name, text in headers.items()],
                    )
                    for key, value, headers in messages
                ]
                found = await asyncio.gather(*sent)
        except BaseException:  # what it still holds is for no one: a batch sent later would only be a duplicate
            self._leave(producer)
            raise
        return [(at.partition, at.offset) for at in found]

    async def _started_producer(self) -> AIOKafkaProducer:
        async with self._producing:
            if self._producer is None:
                self._producer = await _started(kafka_clients.producer(self._settings))
            return self._producer

    def _leave(self, producer: AIOKafkaProducer) -> None:
        """Let a producer end by itself: with brokers away that takes until its messages have expired."""
        if self._producer is None or self._producer is not producer:
            return
        self._producer = None
        leaving = self._loop.create_task(producer.stop())
        self._leaving[leaving] = producer
        leaving.add_done_callback(lambda task: self._leaving.pop(task, None))

    def read(self, topic: str, partition: int, offset: int, *, bytes_max: int) -> list[Message]:
        """Return messages from `offset` on, at least one if there is one, up to about `bytes_max` bytes.

        The first may be beyond `offset` where the topic was compacted, or retention took what was there.
        """
        self._topic(topic)
        return self._run(self._read(TopicPartition(topic, partition), offset, bytes_max))

    async def _read(self, at: TopicPartition, offset: int, bytes_max: int) -> list[Message]:
        reader = self._readers.setdefault(at, _Reader(self._settings, self._asking, at))
        return await reader.read(offset, bytes_max)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the offsets the partition holds now."""
        self._topic(topic)
        return self._run(self._asking.bounds(TopicPartition(topic, partition)))

    def trim(self, topic: str, partition: int, before: int) -> None:
        """Do nothing: the topic's own retention lets go of messages, others may still read them."""

    def close(self) -> None:
        """Leave the brokers; what was acknowledged is theirs."""
        with suppress(Unavailable):  # they are gone already
            self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=self._wait_s_max)
        self._loop.close()

    async def _close(self) -> None:
        await self._asking.close()
        for reader in self._readers.values():
            await reader.close()
        if self._producer is not None:
            self._leave(self._producer)
        if leaving := dict(self._leaving):
            await asyncio.wait(leaving, timeout=CLOSE_S_MAX)
        for producer in leaving.values():
            await producer.client.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with errors_explained(self._settings):
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            try:
                return future.result(timeout=2 * self._wait_s_max)
            except NoAnswer:
                future.cancel()
                raise Unavailable(
                    f"Kafka at {self._settings.bootstrap_servers}: no answer within {2 * self._wait_s_max:g} s; is it reachable?",
                    retry_after_s=RETRY_AFTER_S,
                ) from None


class _Asking:
    """Asks for offsets, on connections of its own: on a reader's they would wait behind a fetch that waits for messages."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def bounds(self, at: TopicPartition) -> Bounds:
        consumer = await self._started()
        start, end = await asyncio.gather(consumer.beginning_offsets([at]), consumer.end_offsets([at]))
        return Bounds(start[at], end[at])

    async def end(self, at: TopicPartition) -> int:
        consumer = await self._started()
        found: int = (await consumer.end_offsets([at]))[at]
        return found

    async def _started(self) -> AIOKafkaConsumer:
        async with self._turn:
            if self._consumer is None:
                self._consumer = await _started(kafka_clients.consumer(self._settings))
            return self._consumer

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()


class _Reader:
    """Reads one partition, from where it is told: a consumer of no group, kept where the last read ended."""

    def __init__(self, settings: KafkaSettings, asking: _Asking, at: TopicPartition) -> None:
        self._settings, self._asking, self._at = settings, asking, at
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()
        self._kept: list[ConsumerRecord] = []  # fetched, beyond what the last read asked for

    async def read(self, offset: int, bytes_max: int) -> list[Message]:
        async with self._turn:
            if not self._kept or self._kept[0].offset != offset:
                self._kept = []
                end = await self._asking.end(self._at)
                if offset >= end:
                    return []
                consumer = await self._started()
                if await consumer.position(self._at) != offset:
                    consumer.seek(self._at, offset)
                while not self._kept and await consumer.position(self._at) < end:  # markers of transactions are no messages
                    self._kept = (await consumer.getmany(self._at, timeout_ms=POLL_MS)).get(self._at, [])
            return self._taken(bytes_max)

    def _taken(self, bytes_max: int) -> list[Message]:
        messages: list[Message] = []
        size = 0
        for record in self._kept:
            messages.append(message_of(record))
            size += len(record.key or b"") + len(record.value or b"")
            if size >= bytes_max:
                break
        self._kept = self._kept[len(messages) :]
        return messages

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = await _started(kafka_clients.consumer(self._settings))
            self._consumer.assign([self._at])
        return self._consumer

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()


def message_of(record: "ConsumerRecord[bytes | None, bytes | None]") -> Message:
    """Return a record as the pipeline knows messages; a header that is no UTF-8 text keeps what can be read of it."""
    return Message(
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value,
        headers={name: value.decode(errors="replace") if value is not None else "" for name, value in record.headers},
    )


async def _started(client: Client) -> Client:
    """Start a client; one that cannot is stopped, or it would go on trying."""
    try:
        await client.start()
    except BaseException:
        await client.stop()
        raise
    return client
