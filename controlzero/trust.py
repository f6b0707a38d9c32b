"""Which bundle a client takes: whose keys it trusts, and from which version on. Free of I/O; `source.py` keeps what is known.

A client trusts the keys that signed the last bundle it took, and those that they endorse, directly or in a chain. Before its
first bundle it trusts the keys it is configured with; without any, those that come with that bundle: first use. Versions of a
project only rise, and what is known of them outlives the bundle kept on disk.
"""

import base64
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from controlzero.bundle import CANDIDATE_VERSION, Bundle, digest, key_id, key_text, parse_key_text, signers, verify
from controlzero.errors import BundleRollbackError, BundleVerificationError

KEYS_MAX = 64  # of a list: a key a month for five years
_ENDORSED = b"controlzero signing key\n"  # before what is signed: no bundle begins like this


class Endorsement(Struct, frozen=True):
    """What one key says of the next: that it signs from now on."""

    by: str
    key_id: str
    sig: bytes


class KeyList(Struct, frozen=True):
    """Public keys by their ids, the newest first, and what they say of one another."""

    keys: Mapping[str, bytes] = {}
    endorsements: tuple[Endorsement, ...] = ()


class Trust(Struct, frozen=True, kw_only=True):
    """What a client knows of a project's bundles: the last one it took, and the keys that signed that."""

    project_id: str
    version: int
    digest: str
    keys: dict[str, bytes]


def admit(
    czpolicy: bytes,
    offered: KeyList,
    trust: Trust | None,
    *,
    configured: Mapping[str, bytes] | None = None,
    project_id: str | None = None,
) -> tuple[Bundle, Trust]:
    """Return the bundle in `czpolicy`, if it may be taken after `trust`, and the trust that follows from it.

    `offered` are the keys that came with it, `configured` those a person gave, `project_id` whose it has to be where that is
    known. Raises `BundleTamperError`, `BundleVerificationError`, `BundleRollbackError`.
    """
    keys = trusted_keys({**(configured or {}), **(trust.keys if trust else {})}, offered)
    bundle = verify(czpolicy, keys)
    wanted = trust.project_id if trust else project_id
    if wanted is not None and bundle.project_id != wanted:
        raise BundleVerificationError(
            f"bundle: it is for project `{bundle.project_id}`, expected `{wanted}`; check CONTROLZERO_PROJECT_ID, the API key and the file"
        )
    if bundle.version <= CANDIDATE_VERSION:
        raise BundleRollbackError(f"bundle of project `{bundle.project_id}`: a candidate (version {bundle.version}) cannot be in force")
    name = digest(bundle)
    if trust is not None and (bundle.version < trust.version or (bundle.version == trust.version and name != trust.digest)):
        raise BundleRollbackError(
            f"bundle of project `{bundle.project_id}`: version {bundle.version} offered after version {trust.version} was taken; "
            "versions only rise, so find out who changed the server's data, or apply the policy again until its version is higher"
        )
    signed_by = {each: keys[each] for each in signers(czpolicy) if each in keys}
    return bundle, Trust(project_id=bundle.project_id, version=bundle.version, digest=name, keys=signed_by)


def trusted_keys(pinned: Mapping[str, bytes], offered: KeyList) -> dict[str, bytes]:
    """Return the keys that `pinned` ones vouch for, themselves first; without any pinned all that are offered: first use."""
    if not pinned:
        return dict(offered.keys)
    found = dict(pinned)
    waiting = list(offered.endorsements)
    while holding := [each for each in waiting if each.by in found]:
        waiting = [each for each in waiting if each.by not in found]
        found |= {each.key_id: offered.keys[each.key_id] for each in holding if _holds(each, found[each.by], offered)}
    return found


def endorse(key: bytes, by: Ed25519PrivateKey) -> Endorsement:
    """Return the word of the private key `by` for the public `key`."""
    return Endorsement(key_id(by.public_key().public_bytes_raw()), key_id(key), by.sign(_ENDORSED + key))


def key_list_lines(listed: KeyList) -> list[str]:
    """Return a key list as the lines of `signing.pub`: `<key id>:<base64>`, and `<key id>><endorsed key id>:<base64>`."""
    words = [f"{each.by}>{each.key_id}:{base64.b64encode(each.sig).decode()}" for each in listed.endorsements]
    return [key_text(key) for key in listed.keys.values()] + words


def parse_key_list(text: str) -> KeyList:
    """Return the key list of lines, or of headers with commas. Raises `BundleVerificationError` for what is none."""
    lines = [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
    if len(lines) > 2 * KEYS_MAX:
        raise BundleVerificationError(f"signing keys: {len(lines)} lines, expected at most {2 * KEYS_MAX}")
    keys = dict(parse_key_text(line) for line in lines if ">" not in line)
    return KeyList(keys, tuple(_endorsements(line for line in lines if ">" in line)))


def _endorsements(lines: Iterable[str]) -> Iterable[Endorsement]:
    for line in lines:
        names, _, encoded = line.partition(":")
        by, _, endorsed = names.partition(">")
        try:
            yield Endorsement(by, endorsed, base64.b64decode(encoded, validate=True))
        except ValueError as error:
            raise BundleVerificationError(f"signing key `{endorsed}`: its endorsement by `{by}` is not base64") from error


def _holds(said: Endorsement, by: bytes, offered: KeyList) -> bool:
    if said.key_id not in offered.keys:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(by).verify(said.sig, _ENDORSED + offered.keys[said.key_id])
    except InvalidSignature:
        return False
    return True
