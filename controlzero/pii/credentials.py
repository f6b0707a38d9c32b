"""Checks for secrets: private keys, JSON Web Tokens, keys of AWS, GitHub and OpenAI."""

import base64
import binascii
import re

import msgspec

from controlzero.pii.checks import Found

PRIVATE_KEY_BYTES_MAX = 32_768  # an RSA key of 16,384 bits has 13 KB; past it no END belongs to this BEGIN
_KEY_END = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(rb"(?:[0-9A-Za-z+/=,: -]|\\+[nr]|\s)*")
_DISTINCT_MIN = 8  # random keys have more different characters; xxxx and **** have fewer
_JWT_HEADER_CHARS_MAX = 8_192


def check_private_key(data: bytes, start: int, end: int) -> Found | None:
    """Accept a PEM block from BEGIN to END; where the END is cut off, as far as it reads like a key."""
    limit = end + PRIVATE_KEY_BYTES_MAX
    following = data.find(b"-----BEGIN", end, limit)
    closing = _KEY_END.search(data, end, following if following >= 0 else limit)
    stop = closing.end() if closing else _KEY_BODY.match(data, end, limit).end()  # type: ignore[union-attr]
    body = data[end : closing.start() if closing else stop]
    if len(set(body)) < _DISTINCT_MIN // 2 or len(body) < _DISTINCT_MIN:
        return None
    return start, stop, data[start:stop].decode("utf-8", "replace")


def check_jwt(data: bytes, start: int, end: int) -> Found | None:
    """Accept a token whose first part decodes to a JSON object that names an algorithm (RFC 7519)."""
    header = data[start : data.index(b".", start)][:_JWT_HEADER_CHARS_MAX]
    try:
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    if not isinstance(decoded, dict) or "alg" not in decoded:
        return None
    while data[end - 1] in b".-":
        end -= 1
    return start, end, data[start:end].decode()


def check_varied(data: bytes, start: int, end: int) -> Found | None:
    """Accept a key that is not a placeholder."""
    value = data[start:end].decode()
    return (start, end, value) if len(set(value[4:])) > _DISTINCT_MIN else None


def check_aws_id(data: bytes, start: int, end: int) -> Found | None:
    """Accept an access key id, not the one in AWS's own manuals."""
    value = data[start:end].decode()
    return None if value.endswith("EXAMPLE") else (start, end, value)


def check_aws_secret(data: bytes, start: int, end: int) -> Found | None:
    """Accept forty base64 characters after the words `secret access key`."""
    value = data[start:end].decode()
    if "EXAMPLE" in value or data[end : end + 1].isalnum() or len(set(value)) <= _DISTINCT_MIN * 1.5:
        return None
    return start, end, value


def check_bedrock_key(data: bytes, start: int, end: int) -> Found | None:
    """Accept a Bedrock key: short-lived ones have a fixed head, long-lived ones 109 characters and more."""
    value = data[start:end].decode()
    if value.startswith("ABSK") and (len(value) < 113 or "EXAMPLE" in value):
        return None
    return start, end, value
