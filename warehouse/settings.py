"""The keeper's settings, read from the environment in this one place."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from controlzero.errors import Rejected
from topics.settings import Environment
from warehouse.stores import Bucket, Place

MEGABYTE = 1 << 20
MEMORY_MB = 256  # of a merge's sorts; a larger one spills to disk


class WarehouseSettings(Environment):
    """Where the warehouse is. The credentials of an object store are read by its client, under their usual names."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore")

    warehouse: str | None = None
    cache_mb: int = Field(default=20_480, ge=64)  # a page may ask for all files of a kind: they are fetched once, while there is room


class ObjectStoreSettings(Environment):
    """What an object store's client does not read by itself, because it takes its time limits from us."""

    model_config = SettingsConfigDict(env_prefix="AWS_", frozen=True, extra="ignore", env_ignore_empty=True)

    allow_http: bool = False
    endpoint_url: str | None = None  # where the object store answers; without it, Amazon's

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        scheme, separator, host = (self.endpoint_url or "https://s3").partition("://")
        if scheme not in ("http", "https") or not separator or not host:
            raise ValueError(f"AWS_ENDPOINT_URL: `{self.endpoint_url}`, expected http://HOST:PORT or https://HOST:PORT")
        if scheme == "http" and not self.allow_http:
            raise ValueError(f"AWS_ENDPOINT_URL: `{self.endpoint_url}` is without TLS; on a network you trust, set AWS_ALLOW_HTTP=true")
        return self


def ledger_at(home: Path) -> Place:
    """Return where the ledger of a data folder is: there, unless the environment names another folder or a bucket."""
    settings = WarehouseSettings()
    if not settings.warehouse:
        return home / "warehouse" / "ledger"
    scheme, separator, rest = settings.warehouse.partition("://")
    if not separator and ":/" not in settings.warehouse:  # `s3:/x` is a slip, no folder
        return Path(settings.warehouse) / "ledger"
    if scheme != "s3" or not rest.strip("/"):
        raise Rejected(f"CZ_WAREHOUSE is `{settings.warehouse}`; expected a folder, or `s3://BUCKET` or `s3://BUCKET/PREFIX`")
    return Bucket(
        url=f"s3://{rest.strip('/')}/ledger",
        cache=home / "cache",
        cache_bytes_max=settings.cache_mb * MEGABYTE,
        allow_http=ObjectStoreSettings().allow_http,
    )


class Settings(Environment):
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
    def ledger(self) -> Place:
        """Where the ledger is."""
        return ledger_at(self.home)
