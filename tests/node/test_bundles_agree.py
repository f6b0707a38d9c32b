"""Node reads every bundle that is signed here, and refuses every one that is refused here."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controlzero.bundle import Bundle, BundleTamperError, BundleVerificationError, digest, key_text, sign, verify
from controlzero.policy import canonical, parse, policy_digest
from controlzero.trust import parse_key_list
from tests import node_sdk
from tests.property import naive_policy as naive

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEYS = key_text(KEY.public_key().public_bytes_raw())


def a_bundle(rng: random.Random, rules: int) -> Bundle:
    listed = [rule for _ in range(rules) for rule in naive.a_policy(rng)]
    parsed = parse({"name": "p", "description": "café \u2028 \U0001f600", "rules": listed})
    return Bundle(
        project_id="default", version=3, issued_at=1, expires_at=rng.choice((None, 5)), mode="enforce", on_stale="deny",
        on_unrecordable="go_on", policies=(json.loads(canonical(parsed)),), policy_digest=policy_digest(parsed), reads=("tier",),
    )  # fmt: skip


def question(czpolicy: bytes, keys: str = KEYS) -> dict[str, str]:
    return {"czpolicy": base64.b64encode(czpolicy).decode(), "keys": keys}


def test_bundles_of_all_sizes_are_read(sdk: Path) -> None:
    rng = naive.seeded("bundles")
    bundles = [a_bundle(rng, rules) for rules in (0, 1, 2, 5, 20, 100, 1_000)]
    answers = node_sdk.ask("verify.js", [question(sign(bundle, KEY)) for bundle in bundles])
    assert [answer["digest"] for answer in answers] == [digest(bundle) for bundle in bundles]
    assert [len(answer["policies"][0]["rules"]) for answer in answers] == [len(bundle.policies[0]["rules"]) for bundle in bundles]


def test_every_flipped_bit_is_refused(sdk: Path) -> None:
    czpolicy = sign(a_bundle(naive.seeded("flipped"), 1), KEY)
    flipped = [bytes((*czpolicy[:at], czpolicy[at] ^ 1 << bit, *czpolicy[at + 1 :])) for at in range(len(czpolicy)) for bit in range(8)]
    answers = node_sdk.ask("verify.js", map(question, [czpolicy, *flipped]))
    assert answers[0]["version"] == 3
    assert {answer.get("error") for answer in answers[1:]} == {"BundleTamperError"}


def test_every_flipped_bit_of_what_is_in_a_file_is_refused_under_a_fitting_checksum(sdk: Path) -> None:
    envelope = zstandard.ZstdDecompressor().decompress(sign(a_bundle(naive.seeded("envelope"), 0), KEY))
    flipped = [bytes((*envelope[:at], envelope[at] ^ 1 << bit, *envelope[at + 1 :])) for at in range(len(envelope)) for bit in range(8)]
    answers = node_sdk.ask("verify.js", map(question, map(with_checksum, [envelope, *flipped])))
    assert answers[0]["version"] == 3
    assert {answer.get("error") for answer in answers[1:]} == {"BundleTamperError", "BundleVerificationError"}


def with_checksum(envelope: bytes) -> bytes:
    frame = zstandard.compress(envelope, 1)
    return frame + b"\x50\x2a\x4d\x18\x20\x00\x00\x00" + hashlib.sha256(frame).digest()


def test_what_is_cut_unsigned_or_signed_by_another_is_refused_by_the_same_name(sdk: Path) -> None:
    bundle = a_bundle(naive.seeded("other"), 2)
    czpolicy, other = sign(bundle, KEY), Ed25519PrivateKey.generate()
    other_keys = key_text(other.public_key().public_bytes_raw())
    cases: list[tuple[bytes, str]] = [
        (sign(bundle, other), KEYS),
        (czpolicy, other_keys),
        (b"", KEYS),
        (b"nothing of the kind", KEYS),
        *((czpolicy[:length], KEYS) for length in range(0, len(czpolicy), 7)),
    ]
    answers = node_sdk.ask("verify.js", [question(*case) for case in cases])
    for (content, keys), answer in zip(cases, answers, strict=True):
        with pytest.raises((BundleTamperError, BundleVerificationError)) as refused:
            verify(content, parse_key_list(keys).keys)
        assert answer["error"] == refused.type.__name__, content


def some_bytes(rng: random.Random, *, bits_max: int) -> bytes:
    """Return bytes of many kinds: random, repeated, words, long copies from far back."""
    kind = rng.randrange(6)
    size = int(2 ** rng.uniform(0, bits_max))
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return bytes([rng.randrange(256)]) * size
    if kind == 2:
        return b" ".join(rng.choice((b"allow", b"deny", b"action", b"model/gpt", b'{"k":')) for _ in range(size // 5))
    if kind == 3:
        block = rng.randbytes(min(size, 3_000))
        return b"".join(block[rng.randrange(len(block)) :] + rng.randbytes(rng.randrange(40)) for _ in range(size // len(block) + 3))
    if kind == 4:
        return bytes(min(255, int(rng.expovariate(0.05))) for _ in range(size))
    return bytes(rng.choice(b"ab") for _ in range(size))


def test_frames_of_every_level_are_expanded(sdk: Path) -> None:
    rng = random.Random("frames")
    contents = [some_bytes(rng, bits_max=19 if number < 20 else 13) for number in range(200)]
    frames = [
        zstandard.ZstdCompressor(level=rng.choice((-5, 1, 3, 6, 9, 15, 19)), write_checksum=rng.random() < 0.5).compress(content)
        for content in contents
    ]
    answers: list[Any] = node_sdk.ask("expand.js", [base64.b64encode(frame).decode() for frame in frames])
    assert [base64.b64decode(answer) for answer in answers] == contents


def test_harmed_frames_are_refused_or_read_and_never_more(sdk: Path) -> None:
    rng = random.Random("harmed")
    frames = []
    for _ in range(1_000):
        frame = bytearray(zstandard.compress(some_bytes(rng, bits_max=11), rng.choice((1, 9, 19))))
        for _ in range(rng.randrange(1, 4)):
            frame[rng.randrange(4, len(frame))] = rng.randrange(256)
        frames.append(bytes(frame[: rng.choice((len(frame), len(frame), rng.randrange(4, len(frame) + 1)))]))
    answers = node_sdk.ask("expand.js", [base64.b64encode(frame).decode() for frame in frames])
    assert sum("corrupt" in answer for answer in answers if isinstance(answer, dict)) > len(frames) // 2
