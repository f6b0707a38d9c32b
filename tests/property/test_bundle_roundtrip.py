"""Whatever a bundle says comes back as it was, and no change of its bytes or its payload gets through."""

import hashlib

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.bundle import Bundle, digest, key_id, sign, verify
from controlzero.errors import BundleRollbackError, BundleTamperError, BundleVerificationError, Tampered
from controlzero.trust import KeyList, Trust, admit, endorse, trusted_keys

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {key_id(PUBLIC): PUBLIC}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-(2.0**53), 2.0**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
BUNDLES = st.builds(
    Bundle,
    project_id=st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True),
    version=st.integers(1, 2**40),
    issued_at=st.integers(0, 2**52),
    expires_at=st.none() | st.integers(0, 2**52),
    mode=st.sampled_from(["enforce", "log-only", "off"]),
    on_stale=st.sampled_from(["keep", "deny"]),
    on_unrecordable=st.sampled_from(["go_on", "deny"]),
    policies=st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=3).map(tuple),
    policy_digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
    reads=st.lists(TEXTS, max_size=4).map(tuple),
)

BUNDLE_OF_ONE_RULE = {
    "format": "czpolicy/1", "project_id": "demo", "version": 3, "issued_at": 1, "expires_at": 2, "mode": "enforce", "on_stale": "deny",
    "on_unrecordable": "go_on", "policies": [{"name": "p", "rules": [{"effect": "deny", "action": "*"}]}], "policy_digest": "0" * 64,
    "reads": ["agent_id"],
}  # fmt: skip


@given(BUNDLES)
def test_a_bundle_comes_back_with_its_digest(bundle: Bundle) -> None:
    back = verify(sign(bundle, KEY), TRUSTED)
    assert back == bundle
    assert digest(back) == digest(bundle)


@given(BUNDLES, st.data())
def test_a_changed_cut_or_longer_file_never_gets_through(bundle: Bundle, data: st.DataObject) -> None:
    czpolicy = sign(bundle, KEY)
    start = data.draw(st.integers(0, len(czpolicy)))
    end = data.draw(st.integers(start, len(czpolicy)))
    changed = czpolicy[:start] + data.draw(st.binary(max_size=8)) + czpolicy[end:]
    if changed != czpolicy:
        with pytest.raises(Tampered):
            verify(changed, TRUSTED)


@settings(max_examples=20)
@given(BUNDLES)
def test_every_flipped_bit_of_a_signed_payload_is_refused_under_a_fitting_checksum(bundle: Bundle) -> None:
    """What one who can write files, and not sign them, can do at best."""
    czpolicy = sign(msgspec.structs.replace(bundle, policies=bundle.policies[:1], reads=()), KEY)
    envelope = zstandard.ZstdDecompressor().decompress(czpolicy)
    opened = msgspec.json.decode(envelope)
    payload = opened["payload"].encode()
    for place in range(0, len(payload), 3):
        flipped = bytearray(payload)
        flipped[place] ^= 1 << (place % 7)
        try:
            text = flipped.decode()
        except UnicodeDecodeError:
            continue
        frame = zstandard.ZstdCompressor(level=1).compress(msgspec.json.encode({**opened, "payload": text}))
        with pytest.raises(Tampered):
            verify(frame + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest(), TRUSTED)


def test_every_flipped_bit_of_what_is_in_a_file_is_refused_under_a_fitting_checksum() -> None:
    """Every bit there is: of the payload, the signature, the key's id, and the JSON around them."""
    bundle = msgspec.convert(BUNDLE_OF_ONE_RULE, Bundle)
    envelope = zstandard.ZstdDecompressor().decompress(sign(bundle, KEY))
    unused = envelope.rindex(b"==") - 1  # the last character of the signature's base64 has bits that stand for nothing
    compressor = zstandard.ZstdCompressor(level=1)
    accepted = []
    for place in range(len(envelope)):
        for bit in range(8):
            flipped = bytearray(envelope)
            flipped[place] ^= 1 << bit
            frame = compressor.compress(bytes(flipped))
            try:
                assert verify(frame + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest(), TRUSTED) == bundle
            except Tampered:
                continue
            accepted.append(place)
    assert set(accepted) <= {unused}


def test_a_file_cut_anywhere_is_refused() -> None:
    czpolicy = sign(msgspec.convert(BUNDLE_OF_ONE_RULE, Bundle), KEY)
    for end in range(len(czpolicy)):
        with pytest.raises(BundleTamperError):
            verify(czpolicy[:end], TRUSTED)


def test_a_frame_that_expands_to_more_than_it_says_is_refused() -> None:
    frame = bytearray(zstandard.ZstdCompressor(write_checksum=False).compress(b" " * 200_000))
    at = bytes(frame).index((200_000).to_bytes(4, "little"))
    frame[at : at + 4] = (1_000).to_bytes(4, "little")
    with pytest.raises(BundleTamperError, match=r"not a \.czpolicy file"):
        verify(bytes(frame) + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest(), TRUSTED)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_a_crash(czpolicy: bytes) -> None:
    with pytest.raises(Tampered):
        verify(czpolicy, TRUSTED)


@given(BUNDLES, st.lists(st.integers(-1, 6), min_size=1, max_size=12))
def test_whatever_is_offered_the_version_in_force_only_rises(bundle: Bundle, offered: list[int]) -> None:
    trust: Trust | None = None
    for version in offered:
        before = trust.version if trust else 0
        try:
            _, trust = admit(sign(msgspec.structs.replace(bundle, version=version), KEY), KeyList(TRUSTED), trust)
        except BundleRollbackError:
            assert version < before or version < 1
        assert (trust.version if trust else 0) == max(before, version, 0)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10), st.integers(0, 5), st.integers(0, 5))
def test_a_key_is_trusted_where_a_chain_of_endorsements_leads_to_it_and_nowhere_else(
    said: list[tuple[int, int]], pinned: int, signer: int
) -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(6)]
    publics = [key.public_key().public_bytes_raw() for key in keys]
    listed = KeyList({key_id(public): public for public in publics}, tuple(endorse(publics[after], by=keys[by]) for by, after in said))
    reached = {pinned}
    for _ in said:
        reached |= {after for by, after in said if by in reached}
    known = {key_id(publics[pinned]): publics[pinned]}
    assert trusted_keys(known, listed).keys() == {key_id(publics[each]) for each in reached}
    trust = Trust(project_id="p", version=1, digest="", keys=known)
    bundle = Bundle(
        project_id="p", version=2, issued_at=0, expires_at=None, mode="enforce", on_stale="keep", on_unrecordable="go_on", policies=(),
        policy_digest="", reads=(),
    )  # fmt: skip
    if signer in reached:
        assert list(admit(sign(bundle, keys[signer]), listed, trust)[1].keys) == [key_id(publics[signer])]
    else:
        with pytest.raises(BundleVerificationError):
            admit(sign(bundle, keys[signer]), listed, trust)
