"""The ledger in a folder of this machine."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from warehouse.disk import sync_directory, sync_file, write_durably
from warehouse.stores import LOG, STAGING, Listed

CHUNK_BYTES = 1 << 20


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
