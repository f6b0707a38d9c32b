"""Mask personal data and secrets where they stand, and leave a receipt for each."""

import json
from typing import Any

import msgspec

from controlzero.pii.find import Span, find, might_hold
from controlzero.pii.mac import fingerprint, token
from controlzero.records import NAME_CHARS_MAX, Redaction

# Taking a value away can free its neighbour: `a@b.co1.2.3.4`. Real text is done after two passes; one that is not
# after this many was made to resist, and is masked whole.
PASSES_MAX = 8
TEXT_CHARS_MAX = 4 << 20  # a longer text is masked unread: scanning and masking it would hold up the agent
UNREADABLE = "unreadable"  # the type in the mask of what could not be read: broken JSON, endless text

_FLOAT_MAX = 1e16  # from here on a float is written with an exponent and its digits are no one's number
_PLAIN_KEY_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class _Receipts:
    """Collects what is masked while one record is walked."""

    __slots__ = ("counts", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.counts: dict[tuple[str, str, str], int] = {}

    def mask(self, span_type: str, value: str, path: str) -> str:
        digest = fingerprint(self.key, span_type, value)
        self.add(path, span_type, digest, 1)
        return f"[{span_type}:{token(digest)}]"

    def add(self, path: str, span_type: str, digest: str, count: int) -> None:
        receipt = (_cut(path), span_type, digest)
        self.counts[receipt] = self.counts.get(receipt, 0) + count

    def listed(self) -> tuple[Redaction, ...]:
        return tuple(Redaction(path=p, type=t, count=n, fingerprint=f) for (p, t, f), n in self.counts.items())


def redact_text(text: str, *, key: bytes, path: str) -> tuple[str, tuple[Redaction, ...]]:
    """Mask every value in a text; `find` finds nothing in what is returned. `path` names the field in the receipts."""
    receipts = _Receipts(key)
    return _masked(text, "", path, receipts), receipts.listed()


def redact_json(encoded: bytes, *, key: bytes, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    """Mask every value in the strings, object keys and whole numbers of encoded JSON; paths in receipts begin with `path`.

    JSON that could hold nothing is returned as it came. Any other is written anew, so that a duplicate key hides
    nothing; what cannot be read as JSON is replaced by the mask of an unreadable value.
    """
    if not might_hold(encoded):
        return encoded, ()
    receipts = _Receipts(key)
    try:
        value = _decode(encoded)
        for _ in range(PASSES_MAX):
            masks = sum(receipts.counts.values())
            value = _walk(value, "", path, receipts)
            if sum(receipts.counts.values()) == masks:
                return _encode(value), receipts.listed()
    except (ValueError, RecursionError):
        pass
    receipts.counts.clear()
    return json.dumps(receipts.mask(UNREADABLE, encoded.decode("utf-8", "replace"), path)).encode(), receipts.listed()


def _masked(text: str, beside: str, path: str, receipts: _Receipts) -> str:
    if len(text) > TEXT_CHARS_MAX:
        return receipts.mask(UNREADABLE, text, path)
    for _ in range(PASSES_MAX):
        spans = find(text, beside)
        if not spans:
            return text
        text = _replaced(text, spans, path, receipts)
    return receipts.mask(UNREADABLE, text, path)


def _replaced(text: str, spans: list[Span], path: str, receipts: _Receipts) -> str:
    parts: list[str] = []
    end = 0
    for span in spans:
        parts += (text[end : span.start], receipts.mask(span.type, span.value, path))
        end = span.end
    return "".join(parts) + text[end:]


def _walk(value: Any, beside: str, path: str, receipts: _Receipts) -> Any:
    """Rebuild a decoded value with its texts masked. A list's items stand beside the list's own name."""
    if isinstance(value, str):
        return _masked(value, beside, path, receipts)
    if isinstance(value, dict):
        masked: dict[str, Any] = {}
        for name, item in value.items():
            plain = _masked_name(name, path, masked, receipts)
            masked[plain] = _walk(item, name, _member(path, plain), receipts)
        return masked
    if isinstance(value, list):
        return [_walk(item, beside, f"{path}[{place}]", receipts) for place, item in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        if not (value.is_integer() and abs(value) < _FLOAT_MAX):
            return value
        value = int(value)
    digits = str(value)
    masked_digits = _masked(digits, beside, path, receipts)
    return value if masked_digits == digits else masked_digits


def _masked_name(name: str, path: str, taken: dict[str, Any], receipts: _Receipts) -> str:
    """Mask a key, apart from those of its object that became the same mask; its receipts name the masked path."""
    own = _Receipts(receipts.key)
    masked = free = _masked(name, "", "", own)
    place = 2
    while free in taken:
        free, place = f"{masked}#{place}", place + 1
    for (_, span_type, digest), count in own.counts.items():
        receipts.add(_member(path, free), span_type, digest, count)
    return free


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if name and _PLAIN_KEY_CHARS.issuperset(name) else f"{path}[{json.dumps(name)}]"


def _cut(path: str) -> str:
    return path if len(path) <= NAME_CHARS_MAX else path[: NAME_CHARS_MAX - 1] + "…"


def _decode(encoded: bytes) -> Any:
    try:
        return msgspec.json.decode(encoded)
    except msgspec.DecodeError:  # the standard library also reads lone surrogates, NaN and very large numbers
        return json.loads(encoded)


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()
