"""The data folder: where each part of the embedded product keeps its things, and who owns it now."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from controlzero.errors import Unavailable
from cz import settings
from warehouse.settings import ledger_at
from warehouse.stores import Place


@dataclass(frozen=True)
class Home:
    """A data folder (`CZ_HOME`) and the paths inside it."""

    path: Path

    @classmethod
    def named(cls, path: Path | None) -> Self:
        """Return the data folder that a command names, else the environment's."""
        return cls((path or settings.read().home).resolve())

    @property
    def log(self) -> Path:
        """The embedded log."""
        return self.path / "log.db"

    @property
    def ledger(self) -> Place:
        """The ledger."""
        return ledger_at(self.path)

    @property
    def alerts(self) -> Path:
        """What happened to alerts, a line each."""
        return self.path / "alerts.jsonl"

    @property
    def run(self) -> Path:
        """Heartbeats, logs and the note of a running product: nothing here outlives its meaning."""
        return self.path / "run"

    @property
    def note(self) -> Path:
        """What a running product says of itself, for the other commands."""
        return self.run / "up.json"


class RunningNote(msgspec.Struct, frozen=True, kw_only=True):
    """Where the product that owns a data folder answers."""

    pid: int
    api_url: str
    dashboards_url: str | None
    started_at: int


@contextmanager
def owned(home: Home) -> Iterator[None]:
    """Hold the data folder for this process; it is let go when the process ends, however it ends.

    Raises `Unavailable` naming the process that has it.
    """
    try:
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.run.mkdir(exist_ok=True)
        lock = os.open(home.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as refused:
        raise Unavailable(
            f"{home.path} cannot be made or written ({refused.strerror}): expected a folder of this user's; name another with --home"
        ) from refused
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "another process"
            raise Unavailable(
                f"{home.path} is in use by process {owner}: one data folder has one owner; stop that `cz up`, or name another folder with --home"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def running(home: Home) -> RunningNote | None:
    """Return the note of the product running over `home`, or None where none runs."""
    try:
        note = msgspec.json.decode(home.note.read_bytes(), type=RunningNote)
        lock = os.open(home.path / "LOCK", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return note
    finally:
        os.close(lock)
    return None
