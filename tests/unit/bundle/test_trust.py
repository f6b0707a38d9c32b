"""Which bundle a client takes after another, and whose keys it believes."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controlzero.bundle import key_id, sign
from controlzero.errors import BundleRollbackError, BundleVerificationError
from controlzero.trust import KEYS_MAX, KeyList, Trust, admit, endorse, key_list_lines, parse_key_list, trusted_keys
from tests.unit.bundle.test_bundle import KEY, PUBLIC, TRUSTED, a_bundle

NEXT = Ed25519PrivateKey.from_private_bytes(bytes(32))
NEXT_PUBLIC = NEXT.public_key().public_bytes_raw()
FIRST = KeyList(TRUSTED)
BOTH = {key_id(NEXT_PUBLIC): NEXT_PUBLIC, **TRUSTED}
ROTATED = KeyList(BOTH, (endorse(NEXT_PUBLIC, by=KEY),))


def trust_after(*, by: Ed25519PrivateKey = KEY, offered: KeyList = FIRST, **changes: object) -> Trust:
    return admit(sign(a_bundle(**changes), by), offered, None)[1]


def test_a_newer_version_takes_over_and_an_older_one_is_refused() -> None:
    trust = trust_after()
    bundle, then = admit(sign(a_bundle(version=4), KEY), FIRST, trust)
    assert (bundle.version, then.version, then.keys) == (4, 4, TRUSTED)
    with pytest.raises(BundleRollbackError, match="version 2 offered after version 3 was taken"):
        admit(sign(a_bundle(version=2), KEY), FIRST, trust)


def test_the_same_version_is_taken_again_and_refused_with_other_content() -> None:
    assert admit(sign(a_bundle(), KEY), FIRST, trust_after()) == (a_bundle(), trust_after())
    with pytest.raises(BundleRollbackError):
        admit(sign(a_bundle(mode="off"), KEY), FIRST, trust_after())


@pytest.mark.parametrize(("trust", "project_id"), [(trust_after(), None), (None, "demo"), (trust_after(), "other")])
def test_a_bundle_of_another_project_never_takes_over(trust: Trust | None, project_id: str | None) -> None:
    with pytest.raises(BundleVerificationError, match="for project `other`, expected `demo`"):
        admit(sign(a_bundle(project_id="other", version=9), KEY), FIRST, trust, project_id=project_id)


def test_a_candidate_never_comes_in_force() -> None:
    with pytest.raises(BundleRollbackError, match="candidate"):
        admit(sign(a_bundle(version=0), KEY), FIRST, None)


def test_the_first_use_believes_the_keys_that_come_with_the_bundle_and_later_ones_do_not() -> None:
    assert admit(sign(a_bundle(), NEXT), KeyList(BOTH), None)[1].keys == {key_id(NEXT_PUBLIC): NEXT_PUBLIC}
    with pytest.raises(BundleVerificationError, match=key_id(NEXT_PUBLIC)):
        admit(sign(a_bundle(version=4), NEXT), KeyList(BOTH), trust_after())


def test_configured_keys_leave_no_first_use() -> None:
    with pytest.raises(BundleVerificationError):
        admit(sign(a_bundle(), NEXT), KeyList(BOTH), None, configured=TRUSTED)
    assert admit(sign(a_bundle(), KEY), KeyList(), None, configured=TRUSTED)[0] == a_bundle()


def test_configured_keys_are_the_way_out_after_a_lost_one() -> None:
    given = {key_id(NEXT_PUBLIC): NEXT_PUBLIC}
    assert admit(sign(a_bundle(version=4), NEXT), KeyList(BOTH), trust_after(), configured=given)[1].keys == given


def test_after_a_rotation_the_old_key_signs_nothing_more() -> None:
    _, then = admit(sign(a_bundle(version=4), NEXT), ROTATED, trust_after())
    assert then.keys == {key_id(NEXT_PUBLIC): NEXT_PUBLIC}
    with pytest.raises(BundleVerificationError, match=key_id(PUBLIC)):
        admit(sign(a_bundle(version=5), KEY), ROTATED, then)


def test_an_endorsement_moved_to_another_key_or_changed_holds_nothing() -> None:
    said = endorse(NEXT_PUBLIC, by=KEY)
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
    listed = BOTH | {key_id(stranger): stranger}
    for forged in (
        msgspec.structs.replace(said, key_id=key_id(stranger)),
        msgspec.structs.replace(said, sig=bytes(64)),
        msgspec.structs.replace(said, sig=b"short"),
        msgspec.structs.replace(endorse(NEXT_PUBLIC, by=NEXT), by=key_id(PUBLIC)),
        msgspec.structs.replace(said, key_id="not-listed"),
    ):
        assert trusted_keys(TRUSTED, KeyList(listed, (forged,))) == TRUSTED


def test_a_key_list_travels_as_lines_and_as_a_header() -> None:
    lines = key_list_lines(ROTATED)
    assert parse_key_list("\n".join(lines)) == parse_key_list(", ".join(lines)) == ROTATED
    assert parse_key_list("") == KeyList()


@pytest.mark.parametrize("text", ["x", "a>b:!!", f"{key_id(PUBLIC)}:AAAA", "a>b:AAAA\n" * (2 * KEYS_MAX + 1)])
def test_what_is_no_key_list_is_refused(text: str) -> None:
    with pytest.raises(BundleVerificationError):
        parse_key_list(text)
