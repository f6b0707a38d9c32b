"""Where the ledger's files are: a folder, or a bucket. What a store says it took, it keeps; names are relative to the ledger.

Everything is written once under a name of its own, but for the entries of the log, which writers race for: whoever comes first has
the name. That race alone decides what landed. Locks only spare writers of one machine some work, or wait for each other.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from controlzero.errors import Unavailable
from warehouse.disk import sync_directory, sync_file, write_durably

LOG = "_delta_log"
STAGING = "_staging"  # what is being written; readers of Delta skip names with an underscore
CHUNK_BYTES = 1 << 20


class Bucket(Struct, frozen=True, kw_only=True):
    """A ledger on an object store, and the folder of this machine where files of it are kept to be read."""

    url: str
    cache: Path
    cache_bytes_max: int
    allow_http: bool = False


Place = Path | Bucket


class Listed(Struct, frozen=True):
    """A file that is in a store."""

    name: str
    modified_ms: int


class Store(Protocol):
    """The files of one ledger. Reading what is not there raises `FileNotFoundError`; a store that does not take part, `Unavailable`."""

    name: str  # for people
    is_shared: bool  # with other machines, whose writers no lock of this one holds
    workshop: Path  # a folder of this machine for what is being made
    locks: Path  # and one for locks
    readable: Path  # the folder that `local` gives files in

    def prepare(self) -> None:
        """Make the workshop. Raises `Tampered` where the store would let one writer overwrite what another committed."""
        ...

    def get(self, name: str) -> bytes:
        """Return a file's bytes."""
        ...

    def get_each(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """Return the bytes of files, None for those not there. They are not asked for at one moment."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes, as the store has them."""
        ...

    def listed(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder and below it, in the order of names, from beyond the name `after`."""
        ...

    def put(self, files: Mapping[str, bytes]) -> None:
        """Take new files, durably. What is left of them where that fails, removal finds."""
        ...

    def place(self, made: Path, name: str) -> None:
        """Take a file made in the workshop, durably."""
        ...

    def put_if_absent(self, name: str, content: bytes, *, unique: str) -> bool:
        """Take a file unless the name is taken; say whether it was. The content is one that nobody else writes.

        After an `OSError` it was not taken, for certain. After `Unavailable` it may have been, or still be.
        """
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those not there are passed over."""
        ...

    def local(self, names: Sequence[str]) -> list[str]:
        """Return where on this machine the files can be read."""
        ...

    def opened_log(self) -> AbstractContextManager[Path]:
        """Lend a folder with the log from its last checkpoint on, as deltalake reads it."""
        ...

    def publish(self, log: Path, names: Iterable[str]) -> None:
        """Take files that deltalake wrote to the log in `opened_log`, durably and in this order."""
        ...


def open_store(place: Place | Store) -> Store:
    """Return the store at a place. Nothing is read or made yet."""
    if isinstance(place, Path):
        return LocalFolder(place)
    if not isinstance(place, Bucket):
        return place
    try:
        from warehouse.object_store import ObjectStore  # its client is an extra
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{place.url}: {missing}; install controlzero-audit[s3] to keep the ledger on an object store") from missing

    return ObjectStore(place)


class _LastCheckpoint(Struct):
    version: int


def checkpointed(store: Store) -> int:
    """Return the version of the last checkpoint, -1 without any."""
    try:
        return msgspec.json.decode(store.get(f"{LOG}/_last_checkpoint"), type=_LastCheckpoint).version
    except FileNotFoundError:
        return -1


class LocalFolder:
    """A ledger in a folder: files are fsynced, then their folders; an entry is linked as the next, which fails where there is one."""

    is_shared = False

    def __init__(self, root: Path) -> None:
        self.root = self.readable = root
        self.name = str(root)
        self.workshop = root / STAGING
        self.locks = root / "_locks"
        self._folders: set[str] = set()

    def prepare(self) -> None:
        """Make the workshop."""
        self.workshop.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.root / name).read_bytes()

    def get_each(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """Return the bytes of files, None for those not there."""
        found: list[bytes | None] = []
        for name in names:
            try:
                found.append(self.get(name))
            except FileNotFoundError:
                found.append(None)
        return found

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes."""
        with (self.root / name).open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                yield chunk

    def listed(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder and below it."""
        names = (str(path.relative_to(self.root)) for path in (self.root / folder).rglob("*") if path.is_file())
        for name in sorted(name for name in names if name > after):
            with suppress(FileNotFoundError):
                yield Listed(name, int((self.root / name).stat().st_mtime * 1000))

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write new files, and fsync them and their folders."""
        folders = {self._folder(name) for name in files}
        written: list[str] = []
        try:
            for name, content in files.items():
                write_durably(self.root / name, content)
                written.append(name)
            for folder in folders:
                sync_directory(folder)
        except OSError:
            with suppress(OSError):
                self.remove(written)
            raise

    def place(self, made: Path, name: str) -> None:
        """Fsync a file, and give it its name."""
        folder = self._folder(name)
        sync_file(made)
        made.rename(self.root / name)
        sync_directory(folder)

    def put_if_absent(self, name: str, content: bytes, *, unique: str) -> bool:
        """Write a file aside, fsync it, and link it. The folder is fsynced by who acknowledges: see `DeltaLog.sync`."""
        staged = self.workshop / f"entry-{unique}.json"
        write_durably(staged, content)
        try:
            os.link(staged, self.root / name)
        except FileExistsError:
            return False
        finally:
            with suppress(OSError):
                staged.unlink()
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        for name in names:
            with suppress(FileNotFoundError):
                (self.root / name).unlink()

    def local(self, names: Sequence[str]) -> list[str]:
        """Return their paths."""
        return [f"{self.root}/{name}" for name in names]

    def opened_log(self) -> AbstractContextManager[Path]:
        """Lend the ledger's own folder."""
        return nullcontext(self.root)

    def publish(self, log: Path, names: Iterable[str]) -> None:
        """Fsync files that deltalake wrote."""
        for name in names:
            sync_file(log / name)
        sync_directory(log / LOG)

    def _folder(self, name: str) -> Path:
        """Return the folder of a file, made durably where there is none."""
        folder = (self.root / name).parent
        if str(folder) not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            sync_directory(folder.parent)
            sync_directory(self.root)
            self._folders.add(str(folder))
        return folder
