"""Where spools lie, who holds one, and which are left behind.

<spool>/<destination>/destination.json         where its records go: base URL and project
<spool>/<destination>/<producer id>/lock       held (flock) as long as the producer or an adopter lives
                                    /position   how far it is delivered
                                    /00000000.records …  the segments
                                    /end        the producer ended in order; nothing follows
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

DESTINATION_FILE = "destination.json"
LOCK_FILE = "lock"
END_FILE = "end"
SEGMENT_SUFFIX = ".records"
PRODUCER_ID_CHARS = 36  # a UUID: what else lies here is no spool
DRAFT_PREFIX = ".new-"
DRAFT_AGE_S_MAX = 60.0  # making a folder takes milliseconds
OWNER_ONLY_FOLDER = 0o700
OWNER_ONLY_FILE = 0o600


class Destination(Struct, frozen=True):
    """Where records are to go: to a gateway's base URL, or to `kafka://` and the brokers.

    Without either `base_url` is None: they wait for one with the same project.
    """

    project_id: str
    base_url: str | None = None

    @property
    def folder_name(self) -> str:
        """The folder its spools lie in: a digest, since a URL is no file name."""
        return hashlib.sha256(f"{self.base_url or 'local'}\n{self.project_id}".encode()).hexdigest()[:32]


class Claim(Struct, frozen=True):
    """A producer's folder while this process holds its lock; closing `lock` or dying lets go of it."""

    folder: Path
    lock: int

    @property
    def producer_id(self) -> str:
        """The producer whose records these are."""
        return self.folder.name


def roots(wanted: Path) -> tuple[Path, Path]:
    """Return where spools may lie, best first: `wanted`, and a private folder among the temporary files."""
    return wanted, temporary_root()


def temporary_root() -> Path:
    """Return this user's folder among the temporary files; `begin` refuses it where somebody else made it first."""
    import tempfile  # some 20 ms of imports that a client's start need not wait for

    return Path(tempfile.gettempdir()) / f"controlzero-spool-{os.getuid()}"


def begin(root: Path, destination: Destination, producer_id: str) -> Claim:
    """Make a producer's folder and hold it. It appears under its name only once its lock is held.

    Raises OSError where the folder cannot be written.
    """
    home = root / destination.folder_name
    root.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    check_owner(root)
    home.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
    if not (home / DESTINATION_FILE).exists():
        draft = home / f"{DRAFT_PREFIX}{producer_id}.json"
        draft.write_bytes(msgspec.json.encode(destination))
        draft.replace(home / DESTINATION_FILE)
    draft = home / f"{DRAFT_PREFIX}{producer_id}"
    draft.mkdir(mode=OWNER_ONLY_FOLDER)
    lock = os.open(draft / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY_FILE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(home / producer_id)
    except OSError:
        os.close(lock)
        raise
    return Claim(home / producer_id, lock)


def check_owner(root: Path) -> None:
    """Raise PermissionError for a spool that somebody else made, or leads us to: what lies there would be believed."""
    if root.stat().st_uid != os.getuid() or root.lstat().st_uid not in (os.getuid(), 0):
        raise PermissionError(errno.EPERM, "the spool belongs to another user", str(root))


def abandoned(root: Path, destination: Destination) -> Iterator[Claim]:
    """Claim, one after the other, the folders of this destination whose process is gone."""
    home = root / destination.folder_name
    _sweep_drafts(home)
    for folder in _producers(home):
        claim = _claim(folder)
        if claim is not None:
            yield claim


def remove(claim: Claim) -> None:
    """Delete a delivered producer's folder and let go of it."""
    import shutil

    shutil.rmtree(claim.folder, ignore_errors=True)
    os.close(claim.lock)


def release(claim: Claim) -> None:
    """Let go of a producer's folder, so that whoever comes next may claim it."""
    fcntl.flock(claim.lock, fcntl.LOCK_UN)
    os.close(claim.lock)


def has_ended(folder: Path) -> bool:
    """Say whether its producer ended in order."""
    return (folder / END_FILE).exists()


def bytes_taken(home: Path) -> int:
    """Return what all spools of a destination's folder take up on disk."""
    return sum(_size(segment) for folder in _producers(home) for segment in segments(folder))


def segments(folder: Path) -> list[Path]:
    """Return a spool's segments in order; none where the folder is gone."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX)
    except OSError:
        return []


def segment_path(folder: Path, index: int) -> Path:
    """Return the path of a spool's segment number `index`."""
    return folder / f"{index:08d}{SEGMENT_SUFFIX}"


def segment_index(path: Path) -> int:
    """Return the number of the segment at `path`."""
    return int(path.stem)


def _producers(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if len(path.name) == PRODUCER_ID_CHARS and path.is_dir())
    except OSError:
        return []


def _claim(folder: Path) -> Claim | None:
    try:
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:
            return Claim(folder, lock)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(lock)
            raise
    os.close(lock)
    return None


def _sweep_drafts(home: Path) -> None:
    """Remove folders whose process died while it made them; they hold no record."""
    import shutil

    try:
        drafts = [path for path in home.iterdir() if path.name.startswith(DRAFT_PREFIX)]
    except OSError:
        return
    for draft in drafts:
        try:
            is_old = time.time() - draft.stat().st_mtime > DRAFT_AGE_S_MAX
        except OSError:
            continue
        if is_old:
            shutil.rmtree(draft, ignore_errors=True)
            draft.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
