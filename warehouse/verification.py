"""Is every file of the ledger what it was when it was written? Parquet hides rot: nearly half of flipped bits read as other values."""

import hashlib
from collections.abc import Iterator

from msgspec import Struct

from warehouse.delta_log import DeltaLog, LiveFile
from warehouse.file_names import sha256_in
from warehouse.opening import open_store
from warehouse.stores import Place, Store


class Damage(Struct, frozen=True):
    """A file of the ledger that is not what it was, by its path in the ledger, and how that shows."""

    path: str
    problem: str


def damages(place: Place) -> Iterator[Damage]:
    """Read every file of the newest version and yield those that are missing or whose bytes changed. A gigabyte takes about a second."""
    store = open_store(place)
    for file in DeltaLog(store).files.values():
        problem = _problem(store, file)
        if problem:
            yield Damage(file.path, problem)


def _problem(store: Store, file: LiveFile) -> str | None:
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in store.chunks(file.path):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    found = digest.hexdigest()
    if size != file.size:
        return f"has {size:,} bytes; {file.size:,} were written"
    expected = sha256_in(file.path)
    if expected is None or expected == found:  # a file of another writer carries no checksum
        return None
    return "its bytes are not those that were written: restore it from a copy"
