"""The envelope around secrets: AES-256-GCM under a data key per project, which is itself sealed under the vault's key.

The vault's key is a line of base64: in `CZ_VAULT_KEY`, in the file that `CZ_VAULT_KEY_FILE` names, else in keys/vault.key of the
data folder, made with the first secret. Lines below the first are former keys, which open what is not sealed anew yet. What is
sealed is bound to what it is about (project, environment, name, version): put in another's place, it does not open.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from controlplane.settings import Settings
from controlzero.errors import Tampered
from controlzero.secrets_on_disk import create_owned, read_owned, replace_owned

KEY_BYTES = 32
NONCE_BYTES = 12  # random: a data key seals thousands of values, the bound is 2^32


class VaultKeys(Struct, frozen=True, kw_only=True):
    """The vault's key and its former ones, by their ids."""

    current: str
    by_id: Mapping[str, bytes]
    path: Path | None  # the file of our own that they are in; None: they come from a setting

    def __repr__(self) -> str:
        return f"VaultKeys(current={self.current!r}, {len(self.by_id)} keys hidden)"


def vault_keys(home: Path) -> VaultKeys | None:
    """Return the vault's keys, None before there are any. Raises `Tampered` for a file or a setting that holds none."""
    settings = Settings()
    if settings.vault_key is not None:
        return _parsed(settings.vault_key.get_secret_value(), "CZ_VAULT_KEY", path=None)
    path = settings.vault_key_file or _own_file(home)
    try:
        text = read_owned(path).decode("ascii", errors="replace")
    except FileNotFoundError:
        if settings.vault_key_file is not None:
            raise Tampered(f"CZ_VAULT_KEY_FILE: {path} is not there, expected a file with a line of base64 of {KEY_BYTES} bytes") from None
        return None
    return _parsed(text, str(path), path=None if settings.vault_key_file else path)


def made_vault_keys(home: Path) -> VaultKeys:
    """Return the vault's keys, made where there are none."""
    found = vault_keys(home)
    if found is None:
        create_owned(_own_file(home), _line(secrets.token_bytes(KEY_BYTES)))
        found = vault_keys(home)
    if found is None:
        raise Tampered(f"{_own_file(home)}: was made and is gone; look who removes files there")
    return found


def begin_rotation(home: Path, keys: VaultKeys, *, in_use: Collection[str]) -> VaultKeys:
    """Put a new key before those of our own file that are in use; of a setting, the first line is the new key already.

    Keys that nothing is sealed under, as rotations leave that were interrupted, are dropped: they alone, however many there were.
    """
    if keys.path is None:
        return keys
    replace_owned(keys.path, _line(secrets.token_bytes(KEY_BYTES)) + _lines(keys, in_use))
    return made_vault_keys(home)


def end_rotation(keys: VaultKeys, *, in_use: Collection[str]) -> bool:
    """Destroy the former keys of our own file that nothing is sealed under; say whether they were ours to destroy."""
    if keys.path is None:
        return False
    replace_owned(keys.path, _lines(keys, {keys.current, *in_use}))
    return True


def seal(key: bytes, content: bytes, *about: str, nonce: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return content sealed under a key and bound to what it is about."""
    number = nonce(NONCE_BYTES)
    return number + AESGCM(key).encrypt(number, content, msgspec.json.encode(about))


def unseal(key: bytes, sealed: bytes, *about: str) -> bytes:
    """Return the content. Raises `Tampered` where it was sealed under another key, is about something else, or was changed."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], msgspec.json.encode(about))
    except (InvalidTag, ValueError):
        raise Tampered(
            f"{'/'.join(about)}: does not open; it was changed in the database, or is not what was sealed there. Restore a backup"
        ) from None


def _own_file(home: Path) -> Path:
    return home / "keys" / "vault.key"


def _line(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


def _lines(keys: VaultKeys, names: Collection[str]) -> bytes:
    return b"".join(_line(key) for name, key in keys.by_id.items() if name in names)


def _parsed(text: str, where: str, *, path: Path | None) -> VaultKeys:
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.replace(",", "\n").split(), 1):
        try:
            key = base64.b64decode(line, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:  # and what it is instead is not said
            raise Tampered(f"{where}: line {number} is not base64 of {KEY_BYTES} bytes; `openssl rand -base64 32` makes one")
        keys[hashlib.sha256(b"cz/vault-key/" + key).hexdigest()[:16]] = key
    if not keys:
        raise Tampered(f"{where}: holds no key, expected a line of base64 of {KEY_BYTES} bytes; restore it from a backup")
    return VaultKeys(current=next(iter(keys)), by_id=keys, path=path)
