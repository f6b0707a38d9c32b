"""The keeper's settings, read from the environment in this one place."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from warehouse.compaction import MEMORY_MB


class Settings(BaseSettings):
    """Where the data is, and how much memory a merge may take. Environment: the names in capitals after `CZ_`."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore")

    home: Path = Path(".controlzero")
    keeper_memory_mb: int = Field(default=MEMORY_MB, ge=128)  # of its sorts; a larger one spills to the ledger's disk

    @property
    def log_path(self) -> Path:
        """The embedded log, whose control topic says how long projects keep what."""
        return self.home / "log.db"

    @property
    def beat_path(self) -> Path:
        """Where the keeper says that it lives, and what it did."""
        return self.home / "run" / "keeper.json"

    @property
    def ledger(self) -> Path:
        """The ledger's own folder."""
        return self.home / "warehouse" / "ledger"
