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
    "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", "::1234:5678", "[email:kdfbcaemph]",
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

_glue = st.sampled_from(GLUE)
_mixed = st.lists(st.sampled_from(VALUES) | _glue | st.sampled_from(WORDS) | st.text(max_size=3), min_size=1, max_size=6).map("".join)
_alone = st.tuples(_glue, st.sampled_from(VALUES), _glue).map("".join)
texts = st.sampled_from(VALUES) | _alone | _mixed
speaking_names = st.sampled_from(
    ("phone", "phone_number", "customerPhone", "mobiles", "ssn", "social_security_number", "aws_secret_access_key")
)
names = speaking_names | st.sampled_from(("version", "to", "a b", "")) | texts
numbers = (
    st.sampled_from((4111111111111111, 4155550132, 123456789, 4111111111111111.0, -4111111111111111, 1715769000, 1.5, 10**30))
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_scalars = texts | numbers | st.none()
_beside = st.dictionaries(speaking_names, _scalars | st.lists(_scalars, min_size=1, max_size=3), min_size=1, max_size=2)
values = _beside | st.recursive(
    _scalars | st.booleans(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=6
)


def written(value: Any, seed: int) -> bytes:
    """Write JSON as some encoder might: any character escaped or not, any spaces between, numbers in any notation."""
    return _write(value, random.Random(seed)).encode("utf-8")


def _write(value: Any, dice: random.Random) -> str:
    space = dice.choice(("", "", " ", "\n  "))
    if isinstance(value, str):
        escaped = dice.choice((0, 0, 0, 0.02, 0.3))  # how many of the letters that need no escape have one
        return '"' + "".join(_letter(c, dice, escaped) for c in value) + '"'
    if isinstance(value, list):
        return "[" + f"{space},{space}".join(_write(item, dice) for item in value) + "]"
    if isinstance(value, dict):
        members = (f"{_write(name, dice)}{space}:{space}{_write(item, dice)}" for name, item in value.items())
        return "{" + f",{space}".join(members) + "}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 and dice.random() < 0.3:
        return f"{value:.16e}"
    return json.dumps(value)


_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _letter(character: str, dice: random.Random, escaped: float) -> str:
    code = ord(character)
    if code > 0x7E:
        must = 0xD800 <= code <= 0xDFFF
        return json.dumps(character)[1:-1] if must or dice.random() < 0.4 else character
    if dice.random() < escaped or (code < 0x20 and character not in _SHORT):
        return f"\\u{code:04{dice.choice('xX')}}"
    return _SHORT[character] if character in _SHORT and (character != "/" or dice.random() < 0.5) else character


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
