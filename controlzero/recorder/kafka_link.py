"""The way to Kafka without a gateway: a batch is the message that the gateway would have appended, in the same partition."""

import ctypes
import logging
import time
from typing import TYPE_CHECKING, Any

from controlzero.batch import MESSAGE_BYTES_MAX, TOPIC, Batch, compress_lines, encode_batch, ndjson, partition_of
from controlzero.brokers import Brokers, rdkafka
from controlzero.errors import Unavailable
from controlzero.recorder import backlog
from controlzero.recorder.link import BACKOFF_S_MAX, Reply

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

ASK_S_MAX = 5.0  # for the topic's partitions, once a connection
POLL_S = 0.2  # between two looks whether the brokers are gone
GRACE_S = 1.0  # librdkafka reports what it could not deliver in time: this long its report may take to come

# Brokers that are away are told of many times a second. The sender says it once.
_logger = logging.getLogger("controlzero.recorder.kafka")
_logger.setLevel(logging.CRITICAL)


class KafkaLink:
    """A producer on the brokers, for the sender's thread; anew after a failure and in a forked child.

    One batch is on its way at a time, and the next only once it is acknowledged: whatever is sent twice, a producer's
    records are first in the log in their order.
    """

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._producer: Producer | None = None
        self._partitions = 0
        self._trouble: KafkaError | None = None
        self._is_away = False

    def deliver(self, project_id: str, batch: backlog.Batch) -> Reply:
        """Append one batch: 202 once all in-sync replicas have it, 413 where it is too large. Raises `Unavailable`."""
        from confluent_kafka import KafkaError, KafkaException

        message = _message(project_id, batch)
        try:
            error = self._appended(*message)
        except KafkaException as refused:
            error = refused.args[0]
        except Unavailable:
            self.close()
            raise
        if error is None:
            return Reply(status=202)
        self.close()  # what it still holds is the spool's to send again
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return Reply(status=413, detail=f"the topic {TOPIC} takes no message of {len(message[1]):,} bytes")
        raise self._unavailable(error)

    def forget(self) -> None:
        """Leave the producer to the parent: a forked child has none of its threads, and would wait for them to end."""
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))  # so that not even the child's end destroys it
            self._producer = None

    def close(self) -> None:
        """Leave the brokers. What they have not acknowledged is not sent any more: the spool has it."""
        from confluent_kafka import KafkaException

        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            try:
                producer.poll(0)
            except KafkaException as fatal:  # what ended the producer: its other calls say only that something did
                self._trouble = fatal.args[0]

    def _appended(self, key: bytes, value: bytes, headers: dict[str, str]) -> "KafkaError | None":
        """Return what went wrong with a message, None once it is in the log."""
        reports: list[KafkaError | None] = []

        def take(error: "KafkaError | None", _: "Message") -> None:
            reports.append(error)

        producer = self._connected()
        producer.produce(
            TOPIC,
            value,
            key,
            partition=partition_of(key, self._partitions),
            headers=[(name, text.encode()) for name, text in headers.items()],
            on_delivery=take,
        )
        deadline = time.monotonic() + self._brokers.delivery_timeout_ms / 1000 + GRACE_S
        while not reports and not self._is_away and time.monotonic() < deadline:
            producer.poll(POLL_S)
        if not reports:
            raise self._unavailable(self._trouble)
        return reports[0]

    def _connected(self) -> "Producer":
        """Return the producer, first made and told how many partitions the topic has."""
        if self._producer is not None:
            self._producer.poll(0)  # what happened since the last batch is over
            self._trouble, self._is_away = None, False
            return self._producer
        from confluent_kafka import Producer

        self._trouble, self._is_away = None, False
        wait_ms = self._brokers.delivery_timeout_ms
        settings: dict[str, Any] = {
            **rdkafka(self._brokers),
            "client.id": "controlzero",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.max.bytes": MESSAGE_BYTES_MAX,
            "message.timeout.ms": wait_ms,
            "request.timeout.ms": wait_ms,
            "socket.timeout.ms": wait_ms,
            "log_level": 0,
            "error_cb": self._note,
        }
        self._producer = Producer(settings, logger=_logger)
        self._partitions = self._asked_partitions(self._producer)
        return self._producer

    def _asked_partitions(self, producer: "Producer") -> int:
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + ASK_S_MAX
        while True:
            try:
                topics = producer.list_topics(timeout=POLL_S).topics  # of all: to ask for one may make it
                break
            except KafkaException:
                producer.poll(0)
                if self._is_away or time.monotonic() > deadline:
                    raise
        if TOPIC not in topics or not topics[TOPIC].partitions:
            raise Unavailable(
                f"Kafka at {self._brokers.bootstrap_servers} has no topic {TOPIC}, or none that this user may write to; "
                "make it with `cz topics create`"
            )
        return len(topics[TOPIC].partitions)

    def _note(self, error: "KafkaError") -> None:
        """Take note of what librdkafka says: it goes on trying whatever it is."""
        from confluent_kafka import KafkaError

        is_summary = error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - librdkafka's own codes begin so
        self._is_away = self._is_away or is_summary or error.fatal() or _is_refusal(error)
        if not is_summary:
            self._trouble = error

    def _unavailable(self, error: "KafkaError | None") -> Unavailable:
        if error is None or error.code() < 0:  # librdkafka's own word, such as "timed out": what it noted says why
            error = self._trouble or error
        where = f"Kafka at {self._brokers.bootstrap_servers}"
        if error is None:
            return Unavailable(f"{where}: no broker answers; are they up, and is this their address (KAFKA_BOOTSTRAP_SERVERS)?")
        said = error.str().partition(" (after ")[0]  # how long it took differs each time, and the sender says a sentence once
        if _is_refusal(error):
            return Unavailable(
                f"{where} refused us, nothing is dropped: {said}; expected a user that may write to {TOPIC} (KAFKA_SASL_USERNAME, "
                "KAFKA_SASL_PASSWORD, KAFKA_SSL_CERTFILE)",
                retry_after_s=BACKOFF_S_MAX,
            )
        return Unavailable(f"{where}: {said}")


def _message(project_id: str, batch: backlog.Batch) -> tuple[bytes, bytes, dict[str, str]]:
    total = batch.first_seq + len(batch.lines)
    return encode_batch(
        Batch(
            project_id=project_id,
            producer_id=batch.producer_id,
            first_seq=batch.first_seq,
            count=len(batch.lines),
            total=total,
            received_at=None,
            value=compress_lines(ndjson(batch.lines)),
            closed=batch.closes,
        )
    )


def _is_refusal(error: "KafkaError") -> bool:
    from confluent_kafka import KafkaError

    return error.code() in (
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
