"""The secrets of a data folder: the master key behind the projects' HMAC keys, the key that signs bundles, files for their owner alone.

Each is made once, atomically and for its owner alone (0600), and never overwritten: a second maker reads
what the first one wrote. Losing `master.key` makes old fingerprints incomparable. `signing.pub` keeps the
public halves of all signing keys, and what each said of the next when it was rotated. A lost `signing.key` is
followed by a new one that nobody endorsed: agents that know the old one refuse it until a person tells them.
"""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controlzero.bundle import key_id
from controlzero.errors import Rejected, Tampered
from controlzero.pii import redact_text
from controlzero.trust import KEYS_MAX, KeyList, endorse, key_list_lines, parse_key_list

KEY_BYTES = 32
OWNER_ONLY = 0o600
READ_BY_ALL = 0o644  # a public key


def master_key(home: Path, *, new_key: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return the 32 bytes that the projects' keys derive from, made on first use in `home`/keys/master.key."""
    return _read_or_create(home / "keys" / "master.key", new_key)


def project_key(master: bytes, project_id: str) -> bytes:
    """Return the project's HMAC key, under which its digests, fingerprints and tokens are made."""
    return hmac.digest(master, b"cz/project/" + project_id.encode(), hashlib.sha256)


def as_kept(home: Path, project_id: str, text: str) -> str:
    """Return a text as the ledger of a data folder has it: a mask in the place of each personal value and secret of the project's."""
    return redact_text(text, key=project_key(master_key(home), project_id), path="text")[0]


def signing_key(home: Path, *, new_key: Callable[[int], bytes] = secrets.token_bytes) -> Ed25519PrivateKey:
    """Return the key that signs bundles, made on first use in `home`/keys/signing.key with signing.pub beside it."""
    key = Ed25519PrivateKey.from_private_bytes(_read_or_create(home / "keys" / "signing.key", new_key))
    public = key.public_key().public_bytes_raw()
    listed = key_list(home)
    if key_id(public) not in listed.keys:  # the first, or a key put in the place of a lost one: what that one signed stays trusted
        _write_key_list(home, KeyList({key_id(public): public, **listed.keys}, listed.endorsements))
    return key


def key_file(path: Path, *, new_key: Callable[[int], bytes] | None = None) -> Ed25519PrivateKey:
    """Return the signing key in a file of its own; with `new_key` it is made, and never over another. Raises `Rejected`, `Tampered`."""
    if new_key is None and not path.is_file():
        raise Rejected(f"{path}: no signing key; `cz bundle new-key {path}` makes one")
    if new_key is not None and path.exists():
        raise Rejected(f"{path}: there is a file already, and a key is never overwritten")
    return Ed25519PrivateKey.from_private_bytes(_read_or_create(path, new_key or secrets.token_bytes))


def rotate_signing_key(home: Path, *, new_key: Callable[[int], bytes] = secrets.token_bytes) -> tuple[Ed25519PrivateKey, Ed25519PrivateKey]:
    """Put a new signing key in the place of the one in `home`, which endorses it and is deleted; return the old one and the new one."""
    old, seed = signing_key(home), new_key(KEY_BYTES)
    new = Ed25519PrivateKey.from_private_bytes(seed)
    public = new.public_key().public_bytes_raw()
    listed = key_list(home)
    _write_key_list(home, KeyList({key_id(public): public, **listed.keys}, (*listed.endorsements, endorse(public, old))))
    replace_owned(home / "keys" / "signing.key", seed)
    return old, new


def key_list(home: Path) -> KeyList:
    """Return what `home`/keys/signing.pub holds, the newest key first; nothing before the first signing."""
    try:
        return parse_key_list((home / "keys" / "signing.pub").read_text())
    except FileNotFoundError:
        return KeyList()


def trusted_keys(home: Path) -> dict[str, bytes]:
    """Return the public keys of `home`/keys/signing.pub by their ids, the newest first; empty before the first signing."""
    return dict(key_list(home).keys)


def _write_key_list(home: Path, listed: KeyList) -> None:
    newest = KeyList(dict(list(listed.keys.items())[:KEYS_MAX]), listed.endorsements[-KEYS_MAX:])
    lines = "".join(f"{line}\n" for line in key_list_lines(newest))
    replace_file(home / "keys" / "signing.pub", lines.encode(), mode=READ_BY_ALL)
    _sync_folder(home / "keys")


def read_owned(path: Path) -> bytes:
    """Return the bytes of a file that only its owner may read. Raises `Tampered` where others may, `FileNotFoundError`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Tampered(f"{path}: mode {mode:04o} lets others read it, expected 0600; run `chmod 600 {path}` and ask who could read it")
    return path.read_bytes()


def replace_owned(path: Path, content: bytes) -> None:
    """Put a file for its owner alone in the place of the one there is, whole and durably."""
    replace_file(path, content, mode=OWNER_ONLY)
    _sync_folder(path.parent)


def _read_or_create(path: Path, new_key: Callable[[int], bytes]) -> bytes:
    if not path.exists():
        create_owned(path, new_key(KEY_BYTES))
    key = read_owned(path)
    if len(key) != KEY_BYTES:
        raise Tampered(f"{path}: {len(key)} bytes, expected {KEY_BYTES}; restore it from a backup, a new one cannot take its place")
    return key


def create_owned(path: Path, content: bytes) -> None:
    """Write `content` whole and durably, unless `path` is there by then: linking fails where renaming would overwrite."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _draft(path, content, mode=OWNER_ONLY) as draft, suppress(FileExistsError):
        path.hardlink_to(draft)
        _sync_folder(path.parent)


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Put a file in the place of the one there is, whole; its content is durable by then, its name once the folder is."""
    with _draft(path, content, mode=mode) as draft:
        draft.replace(path)


@contextmanager
def _draft(path: Path, content: bytes, *, mode: int) -> Iterator[Path]:
    """Give a file beside `path` that durably holds `content`, to be linked or renamed; of the draft nothing is left."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123 (the descriptor carries the mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
