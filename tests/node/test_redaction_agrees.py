"""Python and Node find and mask the same, and leave the same receipts: one project's masks join across SDKs."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings

from controlzero.pii import redact_json, redact_text
from tests import node_sdk
from tests.property import texts_with_values

KEY = b"a key for tests, never for data!"
TEXTS, VALUES = 1_500, 1_000
LARGE_WHOLE = re.compile(r"e\+(1[6-9]|20)\b")  # a whole double that Python writes with an exponent, and JavaScript in digits


def collected(strategy: Any, count: int) -> list[Any]:
    """Return what a strategy draws, the same each time."""
    found: list[Any] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def draw(value: Any) -> None:
        found.append(value)

    draw()
    return found


def is_well_formed(value: object) -> bool:
    """Whether both languages read the same JSON as the same: no half surrogate pairs, no number whose digits only one of them writes."""
    try:
        written = json.dumps(value, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        return False
    return json.loads(written, parse_int=float) == value and LARGE_WHOLE.search(written) is None


def plain(receipts: Any) -> Any:
    return json.loads(msgspec.json.encode(receipts))


def sorted_receipts(receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(receipts, key=lambda each: json.dumps(each, sort_keys=True))


def test_the_same_is_masked_in_texts(sdk: Path) -> None:
    texts = [text for text in collected(texts_with_values.texts, TEXTS) if is_well_formed(text)]
    assert len(texts) > TEXTS // 2
    answers = node_sdk.ask("redact.js", ({"text": text} for text in texts))
    masked = 0
    for text, (said, receipts) in zip(texts, answers, strict=True):
        wanted, wanted_receipts = redact_text(text, key=KEY, path="text")
        assert said == wanted, text
        assert receipts == plain(wanted_receipts), text
        masked += bool(receipts)
    assert masked > TEXTS // 4


def test_the_same_is_masked_in_json(sdk: Path) -> None:
    values = [{"v": value} for value in collected(texts_with_values.values, VALUES) if is_well_formed(value)]
    assert len(values) > VALUES // 2
    answers = node_sdk.ask("redact.js", ({"value": value} for value in values))
    masked = 0
    for value, (said, receipts) in zip(values, answers, strict=True):
        wanted, wanted_receipts = redact_json(json.dumps(value).encode(), key=KEY, path="args")
        assert json.loads(json.dumps(said), parse_int=float) == json.loads(wanted, parse_int=float), value
        assert sorted_receipts(receipts) == sorted_receipts(plain(wanted_receipts)), value
        masked += bool(receipts)
    assert masked > VALUES // 4
