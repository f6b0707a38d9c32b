"""Clients of Kafka's by the settings: aiokafka's for messages, librdkafka's for what only an administrator may ask."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from confluent_kafka import KafkaError as Code
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription  # type: ignore[attr-defined]

from controlzero.batch import MESSAGE_BYTES_MAX
from controlzero.brokers import Brokers, rdkafka
from controlzero.errors import Rejected, Unavailable
from topics.settings import KafkaSettings

RETRY_AFTER_S = 5.0
FETCH_BYTES = 4 * 2**20  # of one partition in one answer; a single larger message still comes
ADMIN_S_MAX = 10.0
NO_ANSWER = {Code._TIMED_OUT, Code._TRANSPORT, Code._ALL_BROKERS_DOWN}  # noqa: SLF001 - so librdkafka names what it finds itself

# Both clients tell many times a second of brokers that are away. Whoever asks something of them is told by an error.
_logger = logging.getLogger("topics.kafka.admin")
for noisy in (_logger, logging.getLogger("aiokafka")):
    noisy.setLevel(logging.CRITICAL)


def producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """Return a producer whose acknowledged messages are on every in-sync replica, each once."""
    return AIOKafkaProducer(
        **_connection(settings),
        acks="all",
        enable_idempotence=True,
        max_request_size=MESSAGE_BYTES_MAX,
        max_batch_size=2**20,
        request_timeout_ms=settings.delivery_timeout_ms,
    )


def consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """Return a consumer of no group, which reads what is committed from where it is told."""
    return AIOKafkaConsumer(
        **_connection(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=settings.delivery_timeout_ms,
    )


def admin(settings: KafkaSettings) -> AdminClient:
    """Return a client for topics and the cluster."""
    with errors_explained(settings):
        return AdminClient({**rdkafka(_brokers(settings)), "socket.timeout.ms": int(ADMIN_S_MAX * 1000)}, logger=_logger)


def described(admin: AdminClient, topic: str) -> TopicDescription | None:
    """Return what the cluster says of a topic, None where there is none. Raises as librdkafka does."""
    try:
        found: TopicDescription = admin.describe_topics(TopicCollection([topic]), request_timeout=ADMIN_S_MAX)[topic].result()
    except KafkaException as error:
        if error.args[0].code() == Code.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
    return found


def _brokers(settings: KafkaSettings) -> Brokers:
    password = settings.sasl_password.get_secret_value() if settings.sasl_password else None
    return msgspec.convert(settings.model_dump(mode="json") | {"sasl_password": password}, Brokers)


def tls(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return what brokers are verified by, None where the protocol has no TLS."""
    if "SSL" not in settings.security_protocol:
        return None
    context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
    if settings.ssl_certfile is not None:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
    return context


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "controlzero",
        "security_protocol": settings.security_protocol,
        "ssl_context": tls(settings),
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password.get_secret_value() if settings.sasl_password else None,
    }


@contextmanager
def errors_explained(settings: KafkaSettings) -> Iterator[None]:
    """Raise `Unavailable` for brokers that do not answer or refuse, `Rejected` for a message they never take."""
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Rejected(
            f"a message larger than Kafka takes ({MESSAGE_BYTES_MAX:,} bytes, or less by the topic's own setting); split it"
        ) from error
    except (TimeoutError, KafkaError, KafkaException, OSError) as error:
        raise Unavailable(f"Kafka at {settings.bootstrap_servers}: {_said(error)}", retry_after_s=RETRY_AFTER_S) from error


def _said(error: Exception) -> str:
    """Return what a client says of an error, and what to look at where it says no more than that it waited."""
    if not isinstance(error, KafkaException):
        return str(error) or type(error).__name__
    told = error.args[0]
    if told.code() in NO_ANSWER:
        return f"no answer within {ADMIN_S_MAX:g} s; do brokers run there, and do the KAFKA_ settings for them (protocol, user, certificates) fit?"
    return str(told.str())
