"""Who is writing to the ledger: so that nothing of a commit under way is swept, however long its process slept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(locks: Path) -> Iterator[None]:
    """Hold the ledger as one of its writers, from reading its state to having committed. Many may."""
    with _opened(locks / "writers") as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def sweeping(locks: Path) -> Iterator[bool]:
    """Hold the ledger alone while what no version lists is removed; yields False at once where a writer is at work."""
    with _opened(locks / "writers") as descriptor:
        yield _taken(descriptor)


@contextmanager
def keeping(locks: Path) -> Iterator[bool]:
    """Be the ledger's one keeper, or yield False where another process is."""
    with _opened(locks / "keeper") as descriptor:
        yield _taken(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # which lets go of the lock
