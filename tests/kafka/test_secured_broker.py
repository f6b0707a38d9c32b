"""A broker that asks for a password over TLS: the settings under their usual names, for every client of ours."""

import datetime as dt
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlzero.brokers import Brokers, read_brokers
from controlzero.errors import Unavailable
from controlzero.recorder.backlog import Batch
from controlzero.recorder.kafka_link import KafkaLink
from controlzero.recorder.link import BACKOFF_S_MAX
from controlzero.recorder.position import Position
from controlzero.records import encode_record
from controlzero.secrets_on_disk import master_key
from controlzero.testing import a_decision
from processors.settings import Settings
from tests.kafka_broker import Broker
from tests.kafka_nemesis import BATCH, batch_of
from tests.kafka_workers import worker
from tests.waiting import until
from topics import kafka_clients, kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings
from warehouse.snapshot import Warehouse

PASSWORD = "correct-horse-battery"
WAIT_S = 60.0
RECORD = Batch("an-agent", 0, [encode_record(a_decision())], Position(1), closes=True, is_all=True)
# The later of two lines of one name counts.
SECURED = """
listeners=SECURE://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control_port}
advertised.listeners=SECURE://127.0.0.1:{port}
inter.broker.listener.name=SECURE
listener.security.protocol.map=SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="audit" password="{password}" user_audit="{password}" user_agent="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:audit;User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
"""


class SecuredBroker(Broker):
    """A broker whose one listener is SASL_SSL, by a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.certificate, keystore = _certified(folder)
        lines = self._settings.read_text().splitlines()
        control = next(line for line in lines if line.startswith("controller.quorum")).rpartition(":")[2]
        secured = SECURED.format(
            port=self.bootstrap.rpartition(":")[2], control_port=control, password=PASSWORD, keystore=keystore, certificate=self.certificate
        )
        self._settings.write_text("\n".join(lines) + secured)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "audit",
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(self.certificate),
        }


def _certified(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return it, and the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "keystore.pem").write_bytes(private + certificate)
    return folder / "certificate.pem", folder / "keystore.pem"


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path / "broker") as one:
        one.name_in_environment(monkeypatch)
        yield one


def test_every_client_speaks_to_it(broker: SecuredBroker, tmp_path: Path) -> None:
    home = tmp_path / "home"
    master_key(home)
    assert len(kafka_topics.create(KafkaSettings())) == 2
    log = KafkaLog(KafkaSettings())
    (place,) = log.append(DECISIONS.name, [batch_of(0, 0)])
    assert log.read(DECISIONS.name, *place, bytes_max=1)[0].offset == place[1]
    log.close()
    assert KafkaLink(brokers_named()).deliver("nemesis", RECORD).status == 202
    with worker(home, broker.environment):
        until(
            lambda: (Settings(home=home).ledger_path / "_delta_log").exists() and _rows(home) == BATCH + 1, "landing all", within_s=WAIT_S
        )


def test_a_wrong_password_is_told_without_saying_any(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_topics.create(KafkaSettings())
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "wrong-horse")
    monkeypatch.setenv("KAFKA_DELIVERY_TIMEOUT_MS", "2000")
    log = KafkaLog(KafkaSettings())
    with pytest.raises(Unavailable, match=broker.bootstrap) as refused:
        log.append(DECISIONS.name, [batch_of(0, 0)])
    assert "horse" not in str(refused.value)
    assert "horse" not in repr(KafkaSettings())
    log.close()
    with pytest.raises(Unavailable, match=f"Kafka at {broker.bootstrap} refused us.*KAFKA_SASL_PASSWORD") as refused:
        KafkaLink(brokers_named()).deliver("nemesis", RECORD)
    assert "horse" not in str(refused.value)
    assert refused.value.retry_after_s == BACKOFF_S_MAX


def test_an_agent_needs_the_right_to_write_to_the_topic_and_no_other(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_topics.create(KafkaSettings())
    admin = kafka_clients.admin(KafkaSettings())
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "agent")
    link = KafkaLink(brokers_named())
    until_told(link, "or none that this user may write to")
    grant(admin, AclOperation.DESCRIBE)
    until_told(link, "refused us, nothing is dropped")
    for _ in range(50):  # the refusal ends librdkafka's producer for good, at any moment of a delivery
        with pytest.raises(Unavailable, match="refused us, nothing is dropped"):
            link.deliver("nemesis", RECORD)
    grant(admin, AclOperation.WRITE)
    until_told(link, "202")
    link.close()


def until_told(link: KafkaLink, what: str) -> None:
    """Deliver until this is the answer: rights take a moment to hold."""

    def told() -> str:
        try:
            return str(link.deliver("nemesis", RECORD).status)
        except Unavailable as refused:
            return str(refused)

    until(lambda: what in told(), told, within_s=WAIT_S)


def grant(admin: AdminClient, right: AclOperation) -> None:
    rights = AclBinding(ResourceType.TOPIC, DECISIONS.name, ResourcePatternType.LITERAL, "User:agent", "*", right, AclPermissionType.ALLOW)
    for done in admin.create_acls([rights]).values():
        done.result()


def brokers_named() -> Brokers:
    problems: list[str] = []
    brokers = read_brokers(os.environ, problems)
    assert brokers is not None, problems
    return brokers


def _rows(home: Path) -> int:
    return int(
        Warehouse.open(Settings(home=home).ledger_path)
        .session(None)
        .sql("SELECT count(*) AS rows FROM decisions", {})
        .to_pylist()[0]["rows"]
    )
