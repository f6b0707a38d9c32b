"""Which database the control plane keeps its tables in, read from the environment in this one place."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Environment: the name in capitals after `CZ_`. Without a URL the database is control.db in the data folder."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = None
