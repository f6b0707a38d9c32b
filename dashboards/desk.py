"""What every page of one server shares: the data folder's warehouse and control plane, and the clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from controlplane.model import Project
from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from controlzero.secrets_on_disk import as_kept
from dashboards.answers import Answers, Archive
from dashboards.settings import Settings
from dashboards.theme import Palette, Scheme, colours
from dashboards.window import Window, window_of
from topics.log import Log
from topics.opening import open_log

MICROS_PER_SECOND: Final = 1_000_000


class NotHere(Rejected):
    """What an address names does not exist, or not in this project: which of the two is nobody's to know."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the toolbar asks for: the same in every part of a page, and in every refresh of it."""

    project_id: str
    range_name: str
    custom_from_at: datetime | None
    custom_until_at: datetime | None
    is_live: bool
    scheme: Scheme


@dataclass(frozen=True, kw_only=True)
class View:
    """All a page needs to draw itself once."""

    desk: "Desk"
    asked: Asked
    project: Project
    window: Window
    now: datetime
    answers: Answers
    plane: ControlPlane
    palette: Palette
    settings: Settings
    actor: str

    def masked(self, text: str) -> str:
        """Return a text as the project keeps it: a mask in the place of each personal value and secret."""
        return as_kept(self.settings.home, self.project.project_id, text)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The edges a page reaches the product through."""

    settings: Settings
    archive: Archive
    plane: ControlPlane
    log: Log
    clock: Callable[[], datetime]

    def close(self) -> None:
        """Let go of the data folder."""
        self.plane.close()
        self.log.close()

    @contextmanager
    def look(self, asked: Asked) -> Iterator[View]:
        """Lend what a page needs, as things are now. Raises `NotHere` for a project there is not."""
        project = next((each for each in self.plane.list_projects() if each.project_id == asked.project_id), None)
        if project is None:
            raise NotHere(f"There is no project {asked.project_id}.")
        now = self.clock()
        with self.archive.asking(project.project_id) as answers:
            yield View(
                desk=self,
                asked=asked,
                project=project,
                window=window_of(asked.range_name, now=now, custom_from_at=asked.custom_from_at, custom_until_at=asked.custom_until_at),
                now=now,
                answers=answers,
                plane=self.plane,
                palette=colours(asked.scheme),
                settings=self.settings,
                actor=self.settings.actor,
            )


def open_desk(settings: Settings) -> Desk:
    """Open the data folder."""

    def micros() -> int:
        return int(system_clock().timestamp() * MICROS_PER_SECOND)

    log = open_log(settings.home / "log.db")
    try:
        plane = ControlPlane(settings.home, log, clock=micros)
    except BaseException:
        log.close()
        raise
    return Desk(settings=settings, archive=Archive(settings.ledger), plane=plane, log=log, clock=system_clock)


def system_clock() -> datetime:
    """Return the time now: the one place of these pages that asks."""
    return datetime.now(UTC)


def from_micros(at: int) -> datetime:
    """Return a time of the control plane as these pages hold times."""
    return datetime.fromtimestamp(at / MICROS_PER_SECOND, UTC)


class _Note(msgspec.Struct, frozen=True):
    api_url: str


def api_url(settings: Settings) -> str:
    """Return where agents reach the gateway: what the running product says of itself, else the setting."""
    try:
        return msgspec.json.decode((settings.home / "run" / "up.json").read_bytes(), type=_Note).api_url
    except (OSError, msgspec.DecodeError):
        return settings.api_url
