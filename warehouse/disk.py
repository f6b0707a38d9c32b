"""What is written to the ledger's disk is durable, and a disk that fails is waited for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from controlzero.errors import Unavailable

RETRY_AFTER_S = 2.0


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and fsync it. Its folder is the caller's to fsync. Leaves nothing behind where it fails."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Fsync what is at a path, whoever wrote it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(folder: Path) -> None:
    """Fsync a folder: the names in it are durable after this."""
    sync_file(folder)


@contextmanager
def unavailable_without_disk(ledger: str) -> Iterator[None]:
    """Tell a disk that is full, read-only or broken from any other error: it is waited for."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{ledger}: {error.strerror or error}; the ledger needs a disk it can write to. "
            "Nothing accepted is lost: free or mount it, and landing goes on by itself",
            retry_after_s=RETRY_AFTER_S,
        ) from error
