"""The control plane's settings, read from the environment in this one place."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from topics.settings import Environment


class Settings(Environment):
    """Where keys, log and tables are. Without a database's URL they are in control.db in the data folder. Environment: after `CZ_`."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Path(".controlzero")
    database_url: SecretStr | None = None
    vault_key: SecretStr | None = None
    vault_key_file: Path | None = None

    @property
    def log_path(self) -> Path:
        """The embedded log."""
        return self.home / "log.db"

    @property
    def beat_path(self) -> Path:
        """Where `python -m controlplane` says that it lives."""
        return self.home / "run" / "control.json"
