"""Bundles: a project's policies and settings, signed, versioned and carried as `.czpolicy` bytes.

    .czpolicy = zstd frame of {"payload": "<canonical JSON>", "signatures": [{"key_id", "sig"}]}
                then a zstd skippable frame holding the SHA-256 of all bytes before it

The signature covers the payload's text as it stands (RFC 8785), so verifying needs no second encoding. The
trailing frame lets a changed byte be told from a foreign signature, and any zstd tool still reads the file.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from controlzero.errors import BundleTamperError, BundleVerificationError, Rejected
from controlzero.policy.canonical import canonical
from controlzero.records import Mode

# Limits. A bundle is fetched by every agent and held in memory by gateways and workers.
CZPOLICY_BYTES_MAX = 4 * 1024 * 1024  # a file: some 100,000 rules compress to less
PAYLOAD_BYTES_MAX = 32 * 1024 * 1024  # expanded, so that a small file cannot fill an agent's memory
SIGNATURES_MAX = 8  # a key and those it was rotated from
CANDIDATE_VERSION = 0  # a candidate's bundle is never active: no client takes version 0

_TRAILER_HEAD = b"\x50\x2a\x4d\x18" + (32).to_bytes(4, "little")  # skippable frame 0, 32 bytes long
_TRAILER_BYTES = len(_TRAILER_HEAD) + 32


class Bundle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="format", tag="czpolicy/1"):
    """What judges a project's actions: policies in order, mode, and what to do when it is old or cannot record.

    Times are microseconds since 1970 UTC. `policies` are policy documents as JSON objects; `policy_digest`
    is theirs alone, so a change of mode keeps it. `reads` names the facts its rules and its candidates' read.
    """

    project_id: str
    version: int  # rises with every signing; `CANDIDATE_VERSION` for a candidate
    issued_at: int
    expires_at: int | None
    mode: Mode
    on_stale: Literal["keep", "deny"]
    on_unrecordable: Literal["go_on", "deny"]
    policies: tuple[dict[str, Any], ...]
    policy_digest: str
    reads: tuple[str, ...]


class _Signature(Struct, frozen=True, forbid_unknown_fields=True):
    key_id: str
    sig: bytes


class _Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    signatures: tuple[_Signature, ...]


def sign(bundle: Bundle, private_key: Ed25519PrivateKey) -> bytes:
    """Return the `.czpolicy` bytes of `bundle`, signed. Raises `Rejected` for one larger than an agent takes."""
    payload = _payload(bundle)
    signature = _Signature(key_id=key_id(private_key.public_key().public_bytes_raw()), sig=private_key.sign(payload))
    envelope = msgspec.json.encode(_Envelope(payload=payload.decode(), signatures=(signature,)))
    frame = zstandard.ZstdCompressor(level=9, write_checksum=True).compress(envelope)
    czpolicy = frame + _TRAILER_HEAD + hashlib.sha256(frame).digest()
    if len(envelope) > PAYLOAD_BYTES_MAX or len(czpolicy) > CZPOLICY_BYTES_MAX:
        raise Rejected(
            f"bundle of project `{bundle.project_id}`: {len(czpolicy):,} bytes ({len(envelope):,} expanded), expected at most "
            f"{CZPOLICY_BYTES_MAX:,} ({PAYLOAD_BYTES_MAX:,}); split the project or use globs for lists of names"
        )
    return czpolicy


def verify(czpolicy: bytes, trusted: Mapping[str, bytes]) -> Bundle:
    """Return the bundle in `czpolicy` if a key of `trusted` (key id to its 32 public bytes) signed it.

    Raises `BundleTamperError` where the bytes were changed or are no bundle, `BundleVerificationError` where
    they are whole and no trusted key signed them. Does not look at the clock: see `is_expired`.
    """
    envelope = _opened(czpolicy)
    payload = envelope.payload.encode()
    _check_signatures(payload, envelope.signatures, trusted)
    bundle = _bundle(payload)
    if _payload(bundle) != payload:
        raise BundleTamperError("bundle: the signed payload is not canonical JSON (RFC 8785), so its digest would differ; sign it again")
    return bundle


def read(czpolicy: bytes) -> Bundle:
    """Return what a file says, whoever signed it: to look at, never to judge by. Raises `BundleTamperError`."""
    return _bundle(_opened(czpolicy).payload.encode())


def signers(czpolicy: bytes) -> tuple[str, ...]:
    """Return the ids of the keys that a file says it is signed by; only `verify` tells whether it is. Raises `BundleTamperError`."""
    return tuple(signature.key_id for signature in _opened(czpolicy).signatures)


def digest(bundle: Bundle) -> str:
    """Return the bundle's identity: SHA-256 (hex) of its canonical payload."""
    return hashlib.sha256(_payload(bundle)).hexdigest()


def is_expired(bundle: Bundle, *, at: int) -> bool:
    """Say whether the bundle is past its own age at `at` (microseconds); what follows is its `on_stale`."""
    return bundle.expires_at is not None and at >= bundle.expires_at


def key_id(public_key: bytes) -> str:
    """Return the name of a public key (32 bytes): the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def key_text(public_key: bytes) -> str:
    """Return the public key as one line, `<key id>:<base64>`: a line of `signing.pub`, the header `CZ-Signing-Key`."""
    return f"{key_id(public_key)}:{base64.b64encode(public_key).decode()}"


def parse_key_text(text: str) -> tuple[str, bytes]:
    """Return (key id, public bytes) of a line that `key_text` wrote. Raises `BundleVerificationError` for another."""
    name, _, encoded = text.strip().partition(":")
    try:
        public_key = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BundleVerificationError(f"signing key `{name}`: not base64, expected `<key id>:<base64 of 32 bytes>`") from error
    if len(public_key) != 32 or key_id(public_key) != name:
        raise BundleVerificationError(f"signing key `{name}`: not the key its id names, expected `<key id>:<base64 of 32 bytes>`")
    return name, public_key


def _payload(bundle: Bundle) -> bytes:
    return canonical(msgspec.to_builtins(bundle)).encode()


def _bundle(payload: bytes) -> Bundle:
    try:
        return msgspec.json.decode(payload, type=Bundle)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleTamperError(f"bundle: the signed payload is none this version can read: {error}; update controlzero-audit") from error


def _opened(czpolicy: bytes) -> _Envelope:
    if len(czpolicy) > CZPOLICY_BYTES_MAX:
        raise BundleTamperError(f"bundle: {len(czpolicy):,} bytes, expected at most {CZPOLICY_BYTES_MAX:,}")
    frame, trailer = czpolicy[:-_TRAILER_BYTES], czpolicy[-_TRAILER_BYTES:]
    if not trailer.startswith(_TRAILER_HEAD):
        raise BundleTamperError(
            "bundle: not a .czpolicy file, or one whose end is missing; expected one from `cz policy export`, `cz bundle sign` or GET /v1/bundle"
        )
    if not hmac.compare_digest(trailer, _TRAILER_HEAD + hashlib.sha256(frame).digest()):
        raise BundleTamperError("bundle: its bytes were changed after signing (checksum differs); fetch it again, and find out by whom")
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= PAYLOAD_BYTES_MAX:
            raise BundleTamperError(f"bundle: expands to {size:,} bytes, expected a stated size of at most {PAYLOAD_BYTES_MAX:,}")
        return msgspec.json.decode(zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False), type=_Envelope)
    except (zstandard.ZstdError, msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleTamperError(f"bundle: not a .czpolicy file: {error}; expected one from `cz policy export` or GET /v1/bundle") from error


def _check_signatures(payload: bytes, signatures: tuple[_Signature, ...], trusted: Mapping[str, bytes]) -> None:
    if len(signatures) > SIGNATURES_MAX:
        raise BundleTamperError(f"bundle: {len(signatures)} signatures, expected at most {SIGNATURES_MAX}")
    known = [signature for signature in signatures if signature.key_id in trusted]
    if not known:
        signers = ", ".join(signature.key_id for signature in signatures) or "nobody"
        raise BundleVerificationError(f"bundle: signed by {signers}, expected one of {', '.join(trusted) or 'no key (none is trusted)'}")
    for signature in known:
        try:
            Ed25519PublicKey.from_public_bytes(trusted[signature.key_id]).verify(signature.sig, payload)
        except InvalidSignature as error:
            raise BundleVerificationError(f"bundle: the signature of key {signature.key_id} does not fit; do not load it") from error
