"""How commands reach the control plane: which data folder, who is asking, and on whose behalf."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import Parameter

from controlplane.database import is_made
from controlplane.model import NotFound
from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from cz import settings
from cz.home import Home
from cz.plane import plane_over

ProjectOption = Annotated[str | None, Parameter(name=["--project", "-p"], help="The project. Default: the only one there is")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """What every command takes."""

    home: Annotated[Path | None, Parameter(help="The data folder. Default: $CZ_HOME, else .controlzero")] = None
    json: Annotated[bool, Parameter(negative="", help="Print JSON, for programs")] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Changing(Reading):
    """What a command takes that changes something: the control log keeps both."""

    as_: Annotated[str | None, Parameter(name="--as", help="Who makes the change. Default: $CZ_ACTOR, else the OS user")] = None
    why: Annotated[str | None, Parameter(help="Why, for the control log")] = None

    @property
    def actor(self) -> str:
        """Who makes the change."""
        return self.as_ or settings.read().actor


STANDARD_INPUT = Path("-")
READING = Reading()
CHANGING = Changing()


@contextmanager
def control_plane(options: Reading, *, create: bool = False) -> Iterator[ControlPlane]:
    """Open the control plane of the data folder that `options` name. Raises `NotFound` where there is none, unless `create`."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))  # a program may read what a command prints
    home = Home.named(options.home)
    if not create and not is_made(home.path):
        raise NotFound(
            f"{home.path}: no data folder of Control Zero, expected one with a control.db, or with keys where CZ_DATABASE_URL is set; "
            "start with `cz up` or `cz project create NAME`, or name another with --home or CZ_HOME"
        )
    with plane_over(home) as plane:
        yield plane


def chosen_project(plane: ControlPlane, project: str | None) -> str:
    """Return the project named, or the only one there is. Raises `NotFound` or `Rejected` naming those there are."""
    if project is not None:
        return plane.project(project).project_id
    known = [one.project_id for one in plane.list_projects()]
    if not known:
        raise NotFound(
            "there is no project in use; make one with `cz project create NAME`, or see the archived ones with `cz project list --all`"
        )
    if len(known) > 1:
        raise Rejected(f"which project? There are {', '.join(known)}; say --project NAME")
    return known[0]


def read_text(path: Path) -> str:
    """Return the text of a file, `-` for standard input. Raises `Rejected` where it cannot be read."""
    try:
        return sys.stdin.read() if path == STANDARD_INPUT else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unread:
        reason = unread.strerror if isinstance(unread, OSError) else "not UTF-8 text"
        raise Rejected(f"{path}: cannot be read ({reason}), expected a file of text") from unread
