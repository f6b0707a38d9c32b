"""Texts and JSON with personal data and secrets in them, between whatever may stand beside, written in every way JSON allows."""

import json
import random
from typing import Any

from hypothesis import strategies as st

VALUES = (
    "bob@example.com", "o'brien+x@sub.example.co.uk", "jürgen@exämple.de", "иван@пример.рф",
    "+1 415 555 0132", "+49 30 12345678", "(415) 555-0132", "415-555-0132", "415\u2011555\u20110132", "020 7946 0958", "09471234567", "4155550132",
    "4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "3714 496353 98431", "30569309025904",
    "DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "de89370400440532013000", "GB29\u00a0NWBK\u00a06016\u00a01331\u00a09268\u00a019",
    "123-45-6789", "123 45 6789", "123456789", "078-05-1120",
    "8.8.8.8", "192.168.1.1", "2001:db8::8a2e:370:7334", "684D:1111:222:3333:4444:5555:6:77", "::ffff:192.0.2.1", "fe80::1", "1.2.3",
    "AKIALALEMEL33243OLIB", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY", "ghp_p4ljt0l2siza70154kh39607l1absdejm2tb",
    "sk-proj-SevzWEV_NmNnMndQ5gn6PjFcX_9ay5SEKse8AL0EuYAB0cIgFW7Equ3vCbUbYShvii6L3rBw3WT3BlbkFJdD9FqO9Z3BoBu9F",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiZ3Vlc3QifQ.K5DnnbbIOspRbpCr2IKXE9cPVatGOCBrBQobQmBmaeU",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB",
    "[email:kdfbcaemph]",
)  # fmt: skip
WORDS = (
    "phone",
    "Phone number",
    "tel",
    "ssn",
    "SSN is",
    "version",
    "card",
    "aws_secret_access_key",
    "v",
    "call me at",
    "a",
    "1",
    "ORD",
    "is",
    "b64",
)
GLUE = (
    "", " ", "\n", "\t", '"', "\\", "/", "_", "-", ".", ",", ":", "=", "(", ")", "[", "]", "<", ">", "&", "'", "@", "+", "#", "\0", "\x1f", "\x7f",
    "é", "\u2019", "\u00a0", "\u2011", "😀", "\ud800", "\\n", "\\u00e9", "x", "7",
)  # fmt: skip

texts = st.lists(
    st.sampled_from(VALUES) | st.sampled_from(GLUE) | st.sampled_from(WORDS) | st.text(max_size=3), min_size=1, max_size=8
).map("".join)
names = st.sampled_from(("phone", "phone_number", "mobile", "ssn", "aws_secret_access_key", "version", "to", "a b", "", "notes")) | texts
numbers = (
    st.sampled_from((4111111111111111, 4155550132, 123456789, 4111111111111111.0, -4111111111111111, 1715769000, 1.5, 10**30))
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    texts | numbers | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


def written(value: Any, seed: int) -> bytes:
    """Write JSON as some encoder might: any character escaped or not, any spaces between, numbers in any notation."""
    return _write(value, random.Random(seed)).encode("utf-8")


def _write(value: Any, dice: random.Random) -> str:
    space = dice.choice(("", "", " ", "\n  "))
    if isinstance(value, str):
        return '"' + "".join(_letter(c, dice) for c in value) + '"'
    if isinstance(value, list):
        return "[" + f"{space},{space}".join(_write(item, dice) for item in value) + "]"
    if isinstance(value, dict):
        members = (f"{_write(name, dice)}{space}:{space}{_write(item, dice)}" for name, item in value.items())
        return "{" + f",{space}".join(members) + "}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 and dice.random() < 0.3:
        return f"{value:.16e}"
    return json.dumps(value)


def _letter(character: str, dice: random.Random) -> str:
    code = ord(character)
    short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if 0xD800 <= code <= 0xDFFF or (code > 0x7E and dice.random() < 0.4) or dice.random() < 0.02:
        return json.dumps(character)[1:-1] if code > 0x7E else f"\\u{code:04{dice.choice('xX')}}"
    if short is not None and (character != "/" or dice.random() < 0.5):
        return short
    return f"\\u{code:04x}" if code < 0x20 else character


def members(value: Any, beside: str = "") -> list[tuple[str, str]]:
    """List every text of a JSON value with the name it stands beside; names are texts too."""
    if isinstance(value, str):
        return [(value, beside)]
    if isinstance(value, list):
        return [member for item in value for member in members(item, beside)]
    if isinstance(value, dict):
        return [member for name, item in value.items() for member in ((name, ""), *members(item, name))]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        value = int(value)
    return [(str(value), beside)] if isinstance(value, int) and not isinstance(value, bool) else []
