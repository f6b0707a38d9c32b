"""How Kafka's brokers are reached: what the environment says under `KAFKA_`, for agents and the product alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX = "KAFKA_"


class Brokers(Struct, frozen=True, kw_only=True):
    """Where brokers are, who we are to them, and how long an append may take."""

    bootstrap_servers: str
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    delivery_timeout_ms: Annotated[int, Meta(ge=1_000, le=120_000)] = 10_000

    def __repr__(self) -> str:
        return f"Brokers({self.url!r})"  # never the password

    @property
    def url(self) -> str:
        """Which brokers these are, in whatever order they are named."""
        return "kafka://" + ",".join(sorted(server.strip() for server in self.bootstrap_servers.split(",")))


def read_brokers(environ: Mapping[str, str], problems: list[str]) -> Brokers | None:
    """Return what `environ` says of the brokers; where that cannot work, None and each reason in `problems`."""
    known = len(problems)
    said: dict[str, object] = {}
    for field in msgspec.structs.fields(Brokers):
        name = f"{PREFIX}{field.name.upper()}"
        text = environ.get(name)
        if not text:
            continue
        try:
            said[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")
        if field.name.endswith("file") and not Path(text).is_file():
            problems.append(f"{name}: there is no file `{text}`")
    if "bootstrap_servers" not in said:
        problems.append(f"delivery `kafka` without brokers: expected `host:port` of some in {PREFIX}BOOTSTRAP_SERVERS")
    if str(said.get("security_protocol")).startswith("SASL") and not {"sasl_username", "sasl_password"} <= said.keys():
        problems.append(
            f"{PREFIX}SECURITY_PROTOCOL `{said['security_protocol']}`: expected {PREFIX}SASL_USERNAME and {PREFIX}SASL_PASSWORD"
        )
    return msgspec.convert(said, Brokers) if len(problems) == known else None


def rdkafka(brokers: Brokers) -> dict[str, str]:
    """Return the settings of a connection under librdkafka's names."""
    named = {
        "bootstrap.servers": brokers.bootstrap_servers,
        "security.protocol": brokers.security_protocol,
        "sasl.mechanism": brokers.sasl_mechanism if brokers.security_protocol.startswith("SASL") else None,
        "sasl.username": brokers.sasl_username,
        "sasl.password": brokers.sasl_password,
        "ssl.ca.location": brokers.ssl_cafile,
        "ssl.certificate.location": brokers.ssl_certfile,
        "ssl.key.location": brokers.ssl_keyfile,
    }
    return {name: value for name, value in named.items() if value is not None}
