"""The SDK and the product read the same variables of Kafka's, and mean the same by them."""

import msgspec
import pytest
from msgspec import NODEFAULT

from controlzero.brokers import Brokers, read_brokers
from topics.settings import KafkaSettings

FIELDS = msgspec.structs.fields(Brokers)


def test_both_know_the_same_names_and_defaults() -> None:
    defaults = {field.name: None if field.default is NODEFAULT else field.default for field in FIELDS}
    assert defaults == {name: info.default for name, info in KafkaSettings.model_fields.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("security_protocol", "SASL_SSL"),
        ("security_protocol", "TLS"),
        ("sasl_mechanism", "SCRAM-SHA-512"),
        ("sasl_mechanism", "OAUTHBEARER"),
        ("delivery_timeout_ms", "999"),
        ("delivery_timeout_ms", "1000"),
        ("delivery_timeout_ms", "120000"),
        ("delivery_timeout_ms", "120001"),
        ("delivery_timeout_ms", "soon"),
    ],
)
def test_both_take_and_refuse_the_same(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "a:1", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "p", f"KAFKA_{name.upper()}": value}
    for variable, text in environ.items():
        monkeypatch.setenv(variable, text)
    problems: list[str] = []
    of_sdk = getattr(read_brokers(environ, problems), name, None)
    try:
        of_product = getattr(KafkaSettings(), name)
    except ValueError:
        of_product = None
    assert of_sdk == of_product
    assert [problem.partition(":")[0] for problem in problems] == [f"KAFKA_{name.upper()}"] * (of_product is None)
