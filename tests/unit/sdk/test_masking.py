"""Arguments on their way into a record: the bytes are those that were judged, the digest is canonical, masks are complete."""

from typing import Any

import msgspec
import pytest

from controlzero.masking import CLEAN_TEXTS_MAX, EXACT, FOREIGN, PLAIN, Masking, form_of
from controlzero.records import Redaction

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"a": "x", "b": [1, True, None, {"c": -5}]}, EXACT),
        ({"a": 1.5}, PLAIN),
        ({"a": {"b": [5000.0]}}, PLAIN),
        ({"a": float("inf")}, FOREIGN),
        ({"a": 2**60}, FOREIGN),
        ({1: "x"}, FOREIGN),
        ({"a": (1, 2)}, FOREIGN),
        ({"a": ...}, FOREIGN),
    ],
)
def test_the_fast_encoders_are_used_only_for_what_they_write_alike(value: dict[Any, Any], form: int) -> None:
    assert form_of(value) == form


def test_what_was_clean_once_is_not_looked_at_again_and_what_is_remembered_has_a_bound() -> None:
    masking = Masking(KEY)
    for number in range(2 * CLEAN_TEXTS_MAX):
        assert masking.text(f"name-{number}", "tool", 512, []) == f"name-{number}"
    assert len(masking._clean) <= CLEAN_TEXTS_MAX


def test_a_masked_text_leaves_its_receipt_every_time() -> None:
    masking = Masking(KEY)
    for _ in range(2):
        receipts: list[Redaction] = []
        assert masking.text("to jane@example.com", "text", 512, receipts).startswith("to [email:")
        assert [(receipt.path, receipt.type) for receipt in receipts] == [("text", "email")]


def test_a_long_text_is_cut_to_its_field() -> None:
    assert Masking(KEY).text("x" * 600, "user_id", 512, []) == "x" * 511 + "…"


def test_arguments_are_masked_by_path_and_their_digest_is_of_what_they_were() -> None:
    masking, receipts = Masking(KEY), list[Redaction]()
    masked, digest = masking.args({"to": "jane@example.com"}, receipts)
    _, same = masking.args({"to": "jane@example.com"}, [])
    _, other = masking.args({"to": "joan@example.com"}, [])
    assert msgspec.json.decode(masked)["to"].startswith("[email:")
    assert [(receipt.path, receipt.type) for receipt in receipts] == [("args.to", "email")]
    assert digest == same != other
