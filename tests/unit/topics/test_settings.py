"""What a wrong setting says: the variable, what was found, and what is expected, all that is wrong at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controlzero.errors import Rejected
from topics.settings import KafkaSettings

ADDRESS = "expected host:port of brokers, a comma between two"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BOOTSTRAP_SERVERS": "localhost"}, f"KAFKA_BOOTSTRAP_SERVERS: `localhost`, {ADDRESS}"),
        ({"BOOTSTRAP_SERVERS": "kafka://one:9092"}, f"KAFKA_BOOTSTRAP_SERVERS: `kafka://one:9092`, {ADDRESS}"),
        ({"BOOTSTRAP_SERVERS": "one:9092,"}, ADDRESS),
        ({"SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: input should be 'PLAINTEXT', 'SSL'"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "wrong settings: KAFKA_SECURITY_PROTOCOL is SASL_SSL, expected KAFKA_SASL_USERNAME and"),
        ({"SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: input should be 'PLAIN'"),
        ({"SSL_CAFILE": "/nowhere/ca.pem"}, "KAFKA_SSL_CAFILE: `/nowhere/ca.pem` is no file"),
        (
            {"DELIVERY_TIMEOUT_MS": "soon", "SSL_KEYFILE": "/nowhere"},
            "KAFKA_SSL_KEYFILE: `/nowhere` is no file, expected one in PEM; KAFKA_DEL",
        ),
    ],
)
def test_a_wrong_setting_of_kafka_is_named_with_what_is_expected(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"KAFKA_{name}", value)
    with pytest.raises(Rejected) as refused:
        KafkaSettings()
    assert said in str(refused.value)


@pytest.mark.parametrize("servers", ["one:9092", "one:9092, two:9093", "[::1]:9092", "10.0.0.1:9092"])
def test_servers_are_taken_as_other_clients_take_them(servers: str) -> None:
    assert KafkaSettings(bootstrap_servers=servers).bootstrap_servers == servers


def test_an_empty_name_of_servers_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    assert KafkaSettings().bootstrap_servers is None


@pytest.mark.parametrize(
    ("module", "variable", "value"),
    [
        ("ingest", "CZ_RATE_LINES_PER_S", "0"),
        ("ingest", "KAFKA_SASL_MECHANISM", "none"),
        ("cz.serve", "CZ_RATE_LINES_PER_S", "0"),
        ("cz.serve", "KAFKA_BOOTSTRAP_SERVERS", "broker"),
        ("processors", "CZ_WORKER_TICK_MS", "often"),
        ("processors.watch", "CZ_WATCH_TICK_S", "0"),
        ("processors.faust_app", "KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("warehouse", "CZ_CACHE_MB", "1"),
        ("controlplane", "KAFKA_SSL_CAFILE", "/nowhere"),
        ("dashboards", "CZ_DASHBOARDS_PORT", "http"),
    ],
)
def test_a_process_with_a_wrong_setting_ends_with_one_sentence(tmp_path: Path, module: str, variable: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, "CZ_HOME": str(tmp_path), variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"wrong settings: {variable}: ")
    assert ended.stderr.count("\n") == 1
