"""How Kafka is reached, read from the environment in this one place: the names its other clients know.

And what all settings of the product's processes share: a wrong one ends a process with a sentence that names it.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from controlzero.errors import ControlZeroError, Rejected

SERVER = re.compile(r"(\[[^\]]+\]|[^\s,:/\[\]]+):\d{1,5}")


class Environment(BaseSettings):
    """Settings that say all that is wrong with them at once, by the variables' names. Raise `Rejected`."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            prefix = self.model_config.get("env_prefix", "")
            wrong = [_told(f"{prefix}{problem['loc'][0]}".upper() if problem["loc"] else "", problem["msg"]) for problem in error.errors()]
            raise Rejected(f"wrong settings: {'; '.join(wrong)}") from None


def _told(variable: str, message: str) -> str:
    told = message.removeprefix("Value error, ")
    return f"{variable}: {told[:1].lower()}{told[1:]}" if variable else told


@contextmanager
def ending_in_a_sentence() -> Iterator[None]:
    """End the process with the reason where its settings are wrong, or what it cannot begin without is away."""
    try:
        yield
    except ControlZeroError as reason:
        sys.exit(str(reason))


class KafkaSettings(Environment):
    """Environment: the names in capitals after `KAFKA_`. Without servers the log is the embedded one."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True, extra="ignore", env_ignore_empty=True)

    bootstrap_servers: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    delivery_timeout_ms: int = Field(default=10_000, ge=1_000, le=120_000)  # an append waits this long for the brokers at most

    @field_validator("bootstrap_servers")
    @classmethod
    def _servers(cls, servers: str | None) -> str | None:
        if servers is not None and not all(SERVER.fullmatch(server.strip()) for server in servers.split(",")):
            raise ValueError(f"`{servers}`, expected host:port of brokers, a comma between two")
        return servers

    @field_validator("ssl_cafile", "ssl_certfile", "ssl_keyfile")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"`{path}` is no file, expected one in PEM")
        return path

    @model_validator(mode="after")
    def _who_we_are(self) -> Self:
        if self.security_protocol.startswith("SASL") and (self.sasl_username is None or self.sasl_password is None):
            raise ValueError(f"KAFKA_SECURITY_PROTOCOL is {self.security_protocol}, expected KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self
