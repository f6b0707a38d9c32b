"""What a client keeps on disk of bundles: the last one it took, for a start without its server, and what it trusts since.

<spool>/bundles/<name>    the bundle and what came with it (0600: it holds the project's key); its mtime is when the server
                          last said that it is in force
<spool>/trust/<name>      the version and digest of the last bundle taken, and the keys that signed it: it stays where the bundle
                          is deleted or replaced by an older one
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from controlzero.errors import BundleTamperError
from controlzero.orders import Order
from controlzero.recorder.folders import OWNER_ONLY_FILE, OWNER_ONLY_FOLDER, check_owner
from controlzero.secrets_on_disk import replace_file
from controlzero.settings import Settings
from controlzero.trust import Trust


class KeptBundle(Struct, frozen=True):
    """A bundle and what came with it."""

    czpolicy: bytes
    signing_key: str
    etag: str | None = None
    project_key: str | None = None
    orders: tuple[Order, ...] = ()


def name_of(settings: Settings) -> str:
    """Return what is kept under: one server and project, as they are asked for; without both, one file."""
    asked = f"{settings.base_url}\n{settings.project_id or settings.api_key or settings.policy_file}"
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def trust_path(spool: Path, name: str) -> Path:
    """Return the file that holds what is trusted."""
    return spool / "trust" / name


def read_bundle(spool: Path, name: str) -> tuple[KeptBundle, int] | None:
    """Return the bundle kept and when its server last confirmed it (microseconds), None where there is none that can be read."""
    path = _bundle_path(spool, name)
    try:
        check_owner(spool)
        return msgspec.json.decode(path.read_bytes(), type=KeptBundle), path.stat().st_mtime_ns // 1000
    except (OSError, msgspec.DecodeError):
        return None


def read_trust(spool: Path, name: str) -> Trust | None:
    """Return what is trusted, None before the first bundle. Raises `BundleTamperError` for a file that is none, `OSError`."""
    path = trust_path(spool, name)
    try:
        check_owner(spool)
        return msgspec.json.decode(path.read_bytes(), type=Trust)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise BundleTamperError(
            f"{path}: it cannot be read ({error}), so an older bundle would pass for a newer one; delete it once you know who changed it"
        ) from error


def keep(spool: Path, name: str, kept: KeptBundle | None, trust: Trust, *, at: int) -> None:
    """Keep a bundle (None: only the trust) unless another process has kept a newer one. Raises `OSError`, `BundleTamperError`."""
    folder = trust_path(spool, name).parent
    folder.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    with _locked(folder):
        known = read_trust(spool, name)
        if known is not None and known.version > trust.version:
            return
        if kept is not None:
            _write(_bundle_path(spool, name), msgspec.json.encode(kept))
            confirm(spool, name, at=at)
        if known != trust:
            _write(trust_path(spool, name), msgspec.json.encode(trust))


def confirm(spool: Path, name: str, *, at: int) -> None:
    """Note that the server said at `at` (microseconds) that the bundle kept is in force. Raises `OSError`."""
    os.utime(_bundle_path(spool, name), ns=(at * 1000, at * 1000))


def _bundle_path(spool: Path, name: str) -> Path:
    return spool / "bundles" / name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    replace_file(path, content, mode=OWNER_ONLY_FILE)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a child forked meanwhile holds it too
        os.close(handle)
