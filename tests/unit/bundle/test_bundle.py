import base64
import hashlib
import json

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controlzero.bundle import (
    PAYLOAD_BYTES_MAX,
    Bundle,
    digest,
    is_expired,
    key_id,
    key_text,
    parse_key_text,
    sign,
    verify,
)
from controlzero.errors import BundleRollbackError, BundleTamperError, BundleVerificationError, Rejected, Tampered

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {key_id(PUBLIC): PUBLIC}
POLICY = {"name": "p", "rules": [{"effect": "allow", "action": ["llm:generate"], "conditions": {"context.cost": {"lt": 5000.0}}}]}


def a_bundle(**changes: object) -> Bundle:
    bundle = Bundle(
        project_id="demo",
        version=3,
        issued_at=1_790_000_000_000_000,
        expires_at=None,
        mode="log-only",
        on_stale="keep",
        on_unrecordable="go_on",
        policies=(POLICY,),
        policy_digest="0" * 64,
        reads=("agent_id", "args.path"),
    )
    return msgspec.structs.replace(bundle, **changes)


def packed(envelope: bytes) -> bytes:
    """Make a file with a checksum that fits, as someone who can write but not sign would make it."""
    frame = zstandard.ZstdCompressor().compress(envelope)
    return frame + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest()


def opened(czpolicy: bytes) -> dict:
    return json.loads(zstandard.ZstdDecompressor().decompress(czpolicy))


def test_a_signed_bundle_comes_back_as_it_was() -> None:
    assert verify(sign(a_bundle(), KEY), TRUSTED) == a_bundle()


def test_any_zstd_tool_reads_the_file_and_its_payload_is_canonical() -> None:
    payload = opened(sign(a_bundle(), KEY))["payload"]
    assert list(json.loads(payload)) == sorted(json.loads(payload))
    assert '"lt":5000}' in payload
    assert json.loads(payload)["format"] == "czpolicy/1"


def test_the_digest_is_that_of_the_payload_and_ignores_who_signed() -> None:
    payload = opened(sign(a_bundle(), KEY))["payload"]
    assert digest(a_bundle()) == hashlib.sha256(payload.encode()).hexdigest()
    assert digest(a_bundle()) != digest(a_bundle(mode="enforce"))


def test_a_flipped_bit_in_the_file_is_tampering_at_every_byte() -> None:
    czpolicy = sign(a_bundle(), KEY)
    for place in range(len(czpolicy)):
        for bit in range(8):
            flipped = bytearray(czpolicy)
            flipped[place] ^= 1 << bit
            with pytest.raises(BundleTamperError):
                verify(bytes(flipped), TRUSTED)


def test_a_changed_payload_under_a_fitting_checksum_is_refused_by_its_signature() -> None:
    envelope = opened(sign(a_bundle(), KEY))
    envelope["payload"] = envelope["payload"].replace('"mode":"log-only"', '"mode":"off"')
    with pytest.raises(BundleVerificationError, match="does not fit"):
        verify(packed(json.dumps(envelope).encode()), TRUSTED)


def test_a_foreign_signature_is_refused_and_named() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(BundleVerificationError, match=key_id(other.public_key().public_bytes_raw())):
        verify(sign(a_bundle(), other), TRUSTED)


def test_a_foreign_key_under_a_trusted_id_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    envelope = opened(sign(a_bundle(), other))
    envelope["signatures"][0]["key_id"] = key_id(PUBLIC)
    with pytest.raises(BundleVerificationError):
        verify(packed(json.dumps(envelope).encode()), TRUSTED)


def test_an_unsigned_bundle_is_refused() -> None:
    envelope = opened(sign(a_bundle(), KEY))
    envelope["signatures"] = []
    with pytest.raises(BundleVerificationError, match="nobody"):
        verify(packed(json.dumps(envelope).encode()), TRUSTED)


def test_a_second_signature_of_a_retired_key_does_no_harm() -> None:
    retired = Ed25519PrivateKey.from_private_bytes(bytes(32))
    envelope = opened(sign(a_bundle(), KEY))
    envelope["signatures"].insert(0, opened(sign(a_bundle(), retired))["signatures"][0])
    assert verify(packed(json.dumps(envelope).encode()), TRUSTED) == a_bundle()


def test_a_signed_payload_that_is_not_canonical_is_refused() -> None:
    payload = json.dumps({"format": "czpolicy/1", **msgspec.to_builtins(a_bundle())}, indent=1)
    signature = {"key_id": key_id(PUBLIC), "sig": base64.b64encode(KEY.sign(payload.encode())).decode()}
    with pytest.raises(BundleTamperError, match="canonical"):
        verify(packed(json.dumps({"payload": payload, "signatures": [signature]}).encode()), TRUSTED)


@pytest.mark.parametrize("payload", ["{}", "[]", "", '{"format":"czpolicy/2"}', "\x00"])
def test_a_signed_payload_of_another_format_is_refused(payload: str) -> None:
    signature = {"key_id": key_id(PUBLIC), "sig": base64.b64encode(KEY.sign(payload.encode())).decode()}
    with pytest.raises(BundleTamperError, match="this version can read"):
        verify(packed(json.dumps({"payload": payload, "signatures": [signature]}).encode()), TRUSTED)


@pytest.mark.parametrize("czpolicy", [b"", b"x", b"\x28\xb5\x2f\xfd", packed(b""), packed(b"{}"), packed(b"\xff"), packed(b"[" * 100_000)])
def test_what_is_no_bundle_is_tampering_and_no_crash(czpolicy: bytes) -> None:
    with pytest.raises(BundleTamperError):
        verify(czpolicy, TRUSTED)


@pytest.mark.parametrize("czpolicy", [b"", b"name: a policy in YAML", sign(a_bundle(), KEY)[:-1], sign(a_bundle(), KEY)[:100]])
def test_another_file_and_a_cut_one_are_told_as_what_they_are(czpolicy: bytes) -> None:
    with pytest.raises(BundleTamperError, match=r"not a .czpolicy file, or one whose end is missing"):
        verify(czpolicy, TRUSTED)


def test_a_bomb_is_refused_before_it_expands() -> None:
    with pytest.raises(BundleTamperError, match="expands to"):
        verify(packed(b" " * (PAYLOAD_BYTES_MAX + 1)), TRUSTED)


def test_a_frame_that_hides_its_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"{}")
    with pytest.raises(BundleTamperError, match="expands to"):
        verify(frame + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest(), TRUSTED)


def test_a_bundle_larger_than_an_agent_takes_is_not_signed() -> None:
    with pytest.raises(Rejected, match="expected at most"):
        sign(a_bundle(policies=({"name": "p", "description": "x" * PAYLOAD_BYTES_MAX, "rules": []},)), KEY)


def test_expiry_is_the_bundles_own_word() -> None:
    assert not is_expired(a_bundle(), at=2**62)
    assert not is_expired(a_bundle(expires_at=100), at=99)
    assert is_expired(a_bundle(expires_at=100), at=100)


def test_a_public_key_travels_as_a_line_that_proves_its_id() -> None:
    assert parse_key_text(key_text(PUBLIC) + "\n") == (key_id(PUBLIC), PUBLIC)
    other = base64.b64encode(bytes(32)).decode()
    for text in ("", "x", f"{key_id(PUBLIC)}:{other}", f"{key_id(PUBLIC)}:!!", key_text(PUBLIC)[:-8]):
        with pytest.raises(BundleVerificationError):
            parse_key_text(text)


def test_all_its_errors_say_stop() -> None:
    assert issubclass(BundleTamperError, Tampered)
    assert issubclass(BundleRollbackError, BundleVerificationError)
    assert issubclass(BundleVerificationError, Tampered)
