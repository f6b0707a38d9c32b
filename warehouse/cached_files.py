"""Files of an object store that are kept on this machine to be read: they never change, and each has its checksum in its name.

Several processes share a folder. What was used longest ago makes room; what is used now stays. A power cut may tear a file here, so
each is checked when a process first uses it.
"""

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from controlzero.errors import Tampered
from warehouse.file_names import sha256_in

STAYS_S = 60  # after its last use: a question that was told its path is through with it
TRIMMED_EVERY = 20  # parts of the limit that come before it is looked at again


class CachedFiles:
    """At most about `bytes_max` of files in `folder`. Threads may share it."""

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._sound: set[str] = set()  # those this process checked
        self._mutex = threading.Lock()
        self._came = bytes_max  # since the last look: at the first, whatever was there

    def path(self, name: str) -> Path:
        """Return where a file is, if it is."""
        return self._folder / name

    def has(self, name: str) -> bool:
        """Say whether a file is here and sound, and note that it is used."""
        path = self.path(name)
        try:
            if name not in self._sound:
                with path.open("rb") as content:
                    found = hashlib.file_digest(content, "sha256").hexdigest()
                if sha256_in(name) != found:
                    path.unlink()
                    return False
                self._sound.add(name)
            os.utime(path, (time.time(), path.stat().st_mtime))  # a file that looks new would be parsed anew
        except FileNotFoundError:
            self._sound.discard(name)
            return False
        return True

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file that was just put. A disk without room for it is nothing to fail for: it is fetched when it is asked for."""
        with suppress(OSError):
            self._write(name, [content], checked=False)

    def take(self, made: Path, name: str) -> None:
        """Keep a file made on this machine that was just put."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        size = made.stat().st_size
        made.rename(path)
        self._noted(name, size)

    def fill(self, name: str, chunks: Iterable[bytes]) -> None:
        """Keep what was fetched. Raises `Tampered` where it is not what was put."""
        self._write(name, chunks, checked=True)

    def _write(self, name: str, chunks: Iterable[bytes], *, checked: bool) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid.uuid4().hex}")
        found = hashlib.sha256()
        try:
            with draft.open("xb") as file:
                for chunk in chunks:
                    found.update(chunk)
                    file.write(chunk)
                size = file.tell()
            if checked and sha256_in(name) not in (found.hexdigest(), None):
                raise Tampered(f"{name}: its bytes are not those that were written; `cz doctor` says what to do")
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        self._noted(name, size)

    def _noted(self, name: str, size: int) -> None:
        with self._mutex:
            self._sound.add(name)
            self._came += size
            is_due = self._came >= self._bytes_max // TRIMMED_EVERY
            if is_due:
                self._came = 0
        if is_due:
            self._trim()

    def _trim(self) -> None:
        """Let files go until the rest is within the limit, those used longest ago first."""
        found = []
        for path in self._folder.glob("kind=*/*/*"):
            with suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_atime, state.st_size, path))
        held = sum(size for _, size, _ in found)
        for used_at, size, path in sorted(found):
            if held <= self._bytes_max or used_at > time.time() - STAYS_S:
                return
            path.unlink(missing_ok=True)
            held -= size
