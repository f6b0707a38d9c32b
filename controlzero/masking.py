"""The caller's words on their way into a record: as JSON has them, masked, and cut to the record's limits."""

import json
from collections.abc import Mapping
from math import isfinite

import msgspec
from msgspec import Raw

from controlzero import pii
from controlzero.pii.redact import Masks, mask_json, mask_text
from controlzero.policy.canonical import DEPTH_MAX, EXACT_INT_MAX, canonical, plain
from controlzero.records import ABSENT, TAGS_MAX, Redaction
from controlzero.vault import Vault

JSON_BYTES_MAX = 256 * 1024  # of arguments or tags: the gateway takes records of 1 MiB, masks and all
JSON_NESTING_MAX = 60  # the gateway takes records 64 deep, the record itself included
CLEAN_TEXTS_MAX = 4_096  # texts known to hold nothing: an agent's tools, rules and users are hundreds
CLEAN_CHARS_MAX = 200  # longer texts are prompts and do not come again
CUT_MARK = "…"
CUT_TYPE = "unreadable"  # what is not recorded because of its size could not be looked at either

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


# How far a value is JSON; of several, the largest counts.
EXACT = 0  # msgspec writes it as RFC 8785 does
PLAIN = 1  # JSON, with fractions that msgspec writes otherwise
FOREIGN = 2  # holds what JSON does not have, or what only some readers can hold


class Masking:
    """Masks one project's texts under its key, and the secrets of a vault wherever they stand.

    Safe for any thread: what it remembers can only be found again.
    """

    def __init__(self, key: bytes, vault: Vault | None = None) -> None:
        self._key = key
        self._vault = vault or Vault()
        self._masks = Masks(key, self._vault.find)
        self._clean: set[str] = set()

    def forget_clean(self) -> None:
        """Look at every text anew: the vault holds other secrets."""
        self._clean = set()

    def text(self, words: str, path: str, chars_max: int, receipts: list[Redaction]) -> str:
        """Return a text as it may be recorded; what was masked is added to `receipts`."""
        if words in self._clean:
            return words
        try:
            encoded = words.encode()
        except UnicodeEncodeError:  # half a surrogate pair is no character, and a record that held one could not be written
            words = words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            encoded = words.encode()
        masked, found = words, tuple[Redaction, ...]()
        if self._might_hold(encoded):
            masked, found = mask_text(words, masks=self._masks, path=path)
        if found:
            receipts.extend(found)
        elif len(words) <= CLEAN_CHARS_MAX:
            if len(self._clean) >= CLEAN_TEXTS_MAX:
                self._clean = set()
            self._clean.add(words)
        return masked if len(masked) <= chars_max else masked[: chars_max - 1] + CUT_MARK

    def args(self, args: Mapping[str, object], receipts: list[Redaction]) -> tuple[Raw, str]:
        """Return arguments as they may be recorded, and the keyed digest of what they were before."""
        form = form_of(args)
        digest = pii.args_digest(self._key, encode_canonical(args, form))
        return self._json(encode_plain(args, form), "args", receipts), digest

    def _json(self, encoded: bytes, path: str, receipts: list[Redaction]) -> Raw:
        if self._might_hold(encoded):
            encoded, found = mask_json(encoded, masks=self._masks, path=path)
            receipts.extend(found)
        if len(encoded) > JSON_BYTES_MAX or encoded[:1] != b"{":
            receipts.append(Redaction(path=path, type=CUT_TYPE))
            encoded = b'{"cut":"%d bytes"}' % len(encoded)
        return Raw(encoded)

    def tags(self, tags: Mapping[str, object], receipts: list[Redaction]) -> Raw:
        """Return tags as they may be recorded: no more than a record holds."""
        if len(tags) > TAGS_MAX:
            receipts.append(Redaction(path="tags", type=CUT_TYPE, count=len(tags) - TAGS_MAX))
            tags = dict(list(tags.items())[:TAGS_MAX])
        return self._json(encode_plain(tags, form_of(tags)), "tags", receipts) if tags else ABSENT

    def masked(self, encoded: bytes) -> bytes:
        """Return encoded JSON with its personal data masked."""
        return mask_json(encoded, masks=self._masks, path="")[0] if self._might_hold(encoded) else encoded

    def _might_hold(self, encoded: bytes) -> bool:
        return pii.might_hold(encoded) or self._vault.is_in(encoded)


def encode_plain(value: Mapping[str, object], form: int) -> bytes:
    """Encode an object as JSON; what is not JSON is recorded as it was judged, by its type."""
    try:
        encoded = _encode(plain(value) if form is FOREIGN else value)
        if encoded.count(b"{") + encoded.count(b"[") <= JSON_NESTING_MAX:
            return encoded
        return _encode(plain(value, depth=DEPTH_MAX - JSON_NESTING_MAX))
    except UnicodeEncodeError:  # half a surrogate pair is no character
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def encode_canonical(value: Mapping[str, object], form: int) -> bytes:
    """Encode an object as canonical JSON (RFC 8785), by the fast encoder where both write the same."""
    if form is EXACT:
        try:
            encoded = _encode_sorted(value)
            if encoded.isascii():  # beyond ASCII, RFC 8785 sorts keys in another order
                return encoded
        except UnicodeEncodeError:
            pass
    return canonical(plain(value) if form == FOREIGN else value).encode("utf-8", "surrogatepass")


def form_of(value: object, depth: int = 0) -> int:
    """Tell how far a value is JSON, so that the fast encoders are used only for what they write as it was judged."""
    kind = value.__class__
    if kind is str or kind is bool or value is None:
        return EXACT
    if kind is int:
        return EXACT if -EXACT_INT_MAX <= value <= EXACT_INT_MAX else FOREIGN  # type: ignore[operator]  # its class was just compared
    if kind is float:
        return PLAIN if isfinite(value) else FOREIGN  # type: ignore[arg-type]
    if depth >= JSON_NESTING_MAX:
        return FOREIGN
    form = EXACT
    if kind is dict:
        for key, element in value.items():  # type: ignore[attr-defined]
            if key.__class__ is not str:
                return FOREIGN
            if element.__class__ is not str:
                form = max(form, form_of(element, depth + 1))
        return form
    if kind is list:
        for element in value:  # type: ignore[attr-defined]
            if element.__class__ is not str:
                form = max(form, form_of(element, depth + 1))
        return form
    return FOREIGN
