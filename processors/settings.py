"""The workers' settings, read from the environment in this one place."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from topics.settings import Environment
from warehouse.settings import ledger_at
from warehouse.stores import Place


class Settings(Environment):
    """Where the data is and how a worker paces itself. Environment: the names in capitals after `CZ_`."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore")

    home: Path = Path(".controlzero")
    worker_tick_ms: int = Field(default=200, ge=10, le=10_000)  # between two commits on a steady flow: fresher costs more files
    worker_metrics_port: int | None = Field(default=None, ge=0, le=65_535)  # on 127.0.0.1; none unless asked for
    watch_tick_s: float = Field(default=5.0, gt=0, le=60)

    @property
    def log_path(self) -> Path:
        """The embedded log."""
        return self.home / "log.db"

    @property
    def ledger_path(self) -> Place:
        """The ledger."""
        return ledger_at(self.home)

    @property
    def run_path(self) -> Path:
        """Heartbeats: nothing in it outlives its meaning."""
        return self.home / "run"

    @property
    def alerts_path(self) -> Path:
        """What happened to alerts, one line each."""
        return self.home / "alerts.jsonl"
