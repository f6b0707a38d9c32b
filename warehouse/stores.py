"""Where the ledger's files are: a folder, or a bucket. What a store says it took, it keeps; names are relative to the ledger.

Everything is written once under a name of its own, but for the entries of the log, which writers race for: whoever comes first has
the name. That race alone decides what landed. Locks only spare writers of one machine some work, or wait for each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

LOG = "_delta_log"
STAGING = "_staging"  # what is being written; readers of Delta skip names with an underscore


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


class _LastCheckpoint(Struct):
    version: int


def checkpointed(store: Store) -> int:
    """Return the version of the last checkpoint, -1 without any."""
    try:
        return msgspec.json.decode(store.get(f"{LOG}/_last_checkpoint"), type=_LastCheckpoint).version
    except FileNotFoundError:
        return -1
