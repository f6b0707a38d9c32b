"""What the environment says to the command line; read here alone."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_HOME = ".controlzero"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8700
DEFAULT_DASHBOARDS_PORT = 8501


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the data is, and who is asking."""

    home: Path
    actor: str
    environment: dict[str, str]


def read() -> Settings:
    """Read the environment."""
    return Settings(
        home=Path(os.environ.get("CZ_HOME") or DEFAULT_HOME).resolve(),
        actor=os.environ.get("CZ_ACTOR") or _os_user(),
        environment=dict(os.environ),
    )


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return f"uid-{os.getuid()}"
