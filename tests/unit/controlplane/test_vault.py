"""The envelope: what is sealed opens under its key, for what it is about, and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from controlplane.vault import seal, unseal
from controlzero.errors import Tampered

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture(autouse=True)
def database() -> None:
    """No database here: override the folder's two."""


@given(some.binary(max_size=200), some.lists(some.text(max_size=20), min_size=1, max_size=5))
def test_what_is_sealed_opens_again(content: bytes, about: list[str]) -> None:
    assert unseal(KEY, seal(KEY, content, *about), *about) == content


@given(some.binary(max_size=50), some.data())
def test_one_flipped_bit_another_key_or_another_place_opens_nothing(content: bytes, data: some.DataObject) -> None:
    sealed = bytearray(seal(KEY, content, "secret", "shop", "", "A", "1"))
    bit = data.draw(some.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    for key, text, about in (
        (KEY, flipped, ("secret", "shop", "", "A", "1")),
        (OTHER, sealed, ("secret", "shop", "", "A", "1")),
        (KEY, sealed, ("secret", "other", "", "A", "1")),
        (KEY, sealed, ("secret", "shop", "", "B", "1")),
        (KEY, sealed, ("secret", "shop", "", "A", "2")),
        (KEY, sealed, ("secret", "shop", "", "A1", "")),
        (KEY, sealed[: data.draw(some.integers(0, len(sealed) - 1))], ("secret", "shop", "", "A", "1")),
    ):
        with pytest.raises(Tampered, match="does not open"):
            unseal(key, bytes(text), *about)


def test_the_same_value_sealed_twice_differs() -> None:
    assert seal(KEY, b"value", "a") != seal(KEY, b"value", "a")
