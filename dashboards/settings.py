"""What the pages read from the environment, all of it and only here."""

import getpass
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from topics.settings import Environment
from warehouse.settings import ledger_at
from warehouse.stores import Place


def operating_system_user() -> str:
    """Return who runs this process: the actor of what people change here, until there are roles."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return f"uid-{os.getuid()}"


DEFAULT_HOME = Path(".controlzero")


class Settings(Environment):
    """Where the data is (`CZ_HOME`), where the pages listen, and who acts (`CZ_ACTOR`)."""

    model_config = SettingsConfigDict(env_prefix="CZ_", frozen=True, extra="ignore")

    home: Path = DEFAULT_HOME
    dashboards_host: str = "127.0.0.1"
    dashboards_port: Annotated[int, Field(ge=0, le=65535)] = 8501
    dashboards_names: str = ""
    api_url: str = "http://127.0.0.1:8700"
    actor: str = Field(default_factory=operating_system_user)

    @property
    def names(self) -> frozenset[str]:
        """The names the pages are served under beside addresses and `localhost`: those of proxies that lead to them."""
        return frozenset(name.strip().lower() for name in self.dashboards_names.split(",") if name.strip())

    @property
    def ledger(self) -> Place:
        """Where the warehouse keeps its ledger."""
        return ledger_at(self.home)

    def environment(self) -> dict[str, str]:
        """Return this process's environment, to hand on to the server it becomes."""
        return dict(os.environ)
