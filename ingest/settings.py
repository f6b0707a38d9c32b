"""The gateway's settings, read from the environment in this one place."""

import os
import socket
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ingest.limits import RATE_BURST_LINES, RATE_LINES_PER_S
from topics.settings import Environment


class Settings(Environment):
    """Where the data is, and how much one key may deliver. Environment: the names in capitals after `CZ_`."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore")

    home: Path = Path(".controlzero")
    rate_lines_per_s: float = Field(default=RATE_LINES_PER_S, gt=0)
    rate_burst_lines: float = Field(default=RATE_BURST_LINES, gt=0)

    @property
    def log_path(self) -> Path:
        """The embedded log."""
        return self.home / "log.db"

    def heartbeat_path(self, *, is_one_of_many: bool) -> Path:
        """Where the gateway says how it is; over Kafka there may be several, on several hosts."""
        return self.home / "run" / (f"gateway-{socket.gethostname()}-{os.getpid()}.json" if is_one_of_many else "gateway.json")
