import json
import re

import pytest

from controlzero.pii import fingerprint, might_hold, redact_json, redact_text
from controlzero.pii.redact import PASSES_MAX, RECEIPTS_MAX, TEXT_CHARS_MAX
from controlzero.records import NAME_CHARS_MAX, Redaction

KEY = b"k" * 32
BOB = fingerprint(KEY, "email", "bob@example.com")


def masked(value: object) -> object:
    return json.loads(redact_json(json.dumps(value).encode(), key=KEY, path="args")[0])


def receipts_of(value: object) -> list[tuple[str, str, int]]:
    return [(r.path, r.type, r.count) for r in redact_json(json.dumps(value).encode(), key=KEY, path="args")[1]]


def test_a_mask_is_the_type_and_ten_letters_that_no_detector_reads() -> None:
    text, receipts = redact_text("write to Bob@example.com.", key=KEY, path="text")
    assert re.fullmatch(r"write to \[email:[a-p]{10}\]\.", text)
    assert receipts == (Redaction(path="text", type="email", count=1, fingerprint=BOB),)


def test_the_letters_of_a_mask_are_the_head_of_the_fingerprint() -> None:
    text, (receipt,) = redact_text("bob@example.com", key=KEY, path="text")
    letters = text[len("[email:") : -1]
    assert "".join("abcdefghijklmnop"[int(digit, 16)] for digit in (receipt.fingerprint or "")[:10]) == letters


def test_another_project_gives_the_same_value_another_mask() -> None:
    assert redact_text("bob@example.com", key=b"a" * 32, path="")[0] != redact_text("bob@example.com", key=b"b" * 32, path="")[0]


def test_marks_of_an_earlier_masking_are_left_alone() -> None:
    text = "[email:kdfbcaemph] and [payment_card:aaaaaaaaaa]"
    assert redact_text(text, key=KEY, path="text") == (text, ())


def test_json_without_anything_comes_back_byte_by_byte() -> None:
    encoded = b'{ "n": 1.50, "a": "v1.2.3" }'
    assert redact_json(encoded, key=KEY, path="args") == (encoded, ())


def test_receipts_name_the_path_of_each_value() -> None:
    value = {"to": ["x", "bob@example.com"], "deep": {"a b": {"note": "call +1 415 555 0132 or bob@example.com, bob@example.com"}}}
    assert receipts_of(value) == [
        ("args.to[1]", "email", 1),
        ('args.deep["a b"].note', "phone", 1),
        ('args.deep["a b"].note', "email", 2),
    ]


def test_a_receipt_keeps_a_fingerprint_only_where_all_values_are_one() -> None:
    same = redact_text("bob@example.com BOB@example.com", key=KEY, path="text")[1]
    different = redact_text("bob@example.com eve@example.com", key=KEY, path="text")[1]
    assert [(r.count, r.fingerprint) for r in same] == [(2, BOB)]
    assert [(r.count, r.fingerprint) for r in different] == [(2, None)]


def test_names_of_members_are_masked_and_no_path_gives_one_away() -> None:
    encoded, receipts = redact_json(b'{"bob@example.com":{"card":"4111111111111111"},"BOB@example.com":1}', key=KEY, path="args")
    mask = redact_text("bob@example.com", key=KEY, path="")[0]
    value = json.loads(encoded)
    assert list(value) == [mask, f"{mask}#2"]
    assert value[f"{mask}#2"] == 1
    assert "bob" not in str(receipts).lower()
    assert [r.path for r in receipts] == [f'args["{mask}"]', f'args["{mask}"].card', f'args["{mask}#2"]']


def test_whole_numbers_are_read_as_their_digits() -> None:
    value = {
        "card": 4111111111111111,
        "float": 4111111111111111.0,
        "phone": 4155550132,
        "phones": [4155550133],
        "n": 4155550132,
        "ok": True,
        "x": 1.5,
    }
    after = masked(value)
    assert isinstance(after, dict)
    assert [name for name in value if after[name] == value[name]] == ["n", "ok", "x"]
    assert all(str(after[name]).startswith(("[payment_card:", "['[phone:", "[phone:")) for name in ("card", "float", "phone", "phones"))


def test_a_name_speaks_for_the_items_of_its_list_too() -> None:
    assert receipts_of({"phones": [None, "4155550132", ["4155550133"]]}) == [
        ("args.phones[1]", "phone", 1),
        ("args.phones[2][0]", "phone", 1),
    ]


def test_a_duplicate_member_hides_nothing() -> None:
    assert b"bob" not in redact_json(b'{"a":"bob@example.com","a":"x"}', key=KEY, path="args")[0]


@pytest.mark.parametrize(
    "encoded",
    [
        rb'{"a":"bob\u0040example.com"}',
        rb'{"a":"\u0062\u006fb@example.com"}',
        rb'{"a":"see\nbob@example.com"}',
        rb'{"a":"\ud83d\ude00bob@example.com"}',
        rb'{"a":"\ud800 bob@example.com"}',
        rb'{"a":"4111\u00201111\u202f1111 1111"}',
        rb'{"a":"x\n4111111111111111"}',
        rb'{"a":4.111111111111111e15}',
        rb'{"phone" : "4155550132"}',
        b'{"phone":\n [ "4155550132"]}',
        rb'{"a":"{\"ssn\": \"536904399\"}"}',
    ],
)
def test_no_escape_or_notation_hides_a_value(encoded: bytes) -> None:
    assert might_hold(encoded)
    after, receipts = redact_json(encoded, key=KEY, path="args")
    assert len(receipts) == 1
    assert json.loads(after)
    assert not re.search(rb"bob|example|4111|415555|53690", after)


@pytest.mark.parametrize(
    "encoded", [b'{"a":bob@example.com}', b"bob@example.com", b"[" * 50_000 + b'"bob@example.com"', b'{"a":"bob@example.com\xff"}']
)
def test_what_is_no_json_becomes_the_mask_of_an_unreadable_value(encoded: bytes) -> None:
    after, (receipt,) = redact_json(encoded, key=KEY, path="args")
    assert re.fullmatch(rb'\{"unreadable":"\[unreadable:[a-p]{10}\]"\}', after)
    assert (receipt.path, receipt.type) == ("args", "unreadable")


def test_numbers_of_any_size_survive_the_masking_beside_them() -> None:
    assert masked({"n": 10**40, "f": 0.1, "to": "bob@example.com"}) == {
        "n": 10**40,
        "f": 0.1,
        "to": redact_text("bob@example.com", key=KEY, path="")[0],
    }


def test_a_text_past_the_limit_is_masked_whole_if_it_might_hold_anything() -> None:
    plain = "x" * (TEXT_CHARS_MAX + 1)
    assert redact_text(plain, key=KEY, path="text") == (plain, ())
    text, (receipt,) = redact_text(f"{plain} {'bob@example.com'}", key=KEY, path="text")
    assert re.fullmatch(r"\[unreadable:[a-p]{10}\]", text)
    assert receipt.type == "unreadable"


def test_many_values_in_one_json_leave_one_receipt_for_each_type() -> None:
    people = [f"p{number}@example.com" for number in range(RECEIPTS_MAX + 1)]
    assert receipts_of({"to": people}) == [("args", "email", RECEIPTS_MAX + 1)]
    assert len(receipts_of({"to": people[:-1]})) == RECEIPTS_MAX


def test_a_path_is_no_longer_than_a_record_takes() -> None:
    ((path, _, _),) = receipts_of({"k" * 600: "bob@example.com"})
    assert len(path) == NAME_CHARS_MAX


def test_taking_one_value_away_cannot_leave_another() -> None:
    text, _ = redact_text("a@b.co1.2.3.4.5 x@y.com+14155550132", key=KEY, path="text")
    assert redact_text(text, key=KEY, path="text") == (text, ())
    assert PASSES_MAX > 2


def test_a_hostile_text_is_masked_in_the_time_its_length_allows() -> None:
    for unit in ("a@b.co ", "8.8.8.8 ", "4111111111111111_", "+14155550132,", "bob@example.com\x00", "536-90-4399-"):
        redact_text(unit * (200_000 // len(unit)), key=KEY, path="text")
    redact_json(json.dumps([unit] * 10_000).encode(), key=KEY, path="args")
