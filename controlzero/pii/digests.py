"""Keyed digests: what stands for a value that must not be kept."""

import hashlib
import hmac

MAC_HEX = 32  # 128 bits: two values of one project meet with probability 2^-64 after 2^32 of them
TOKEN_LETTERS = 10  # 40 bits in a mask: enough to tell a project's people apart, short enough to read
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # no digits: a mask must look like nothing found


def mac(key: bytes, data: bytes) -> str:
    """Compute HMAC-SHA256 of `data` under the project's key, truncated to 128 bits, in hex."""
    return hmac.digest(key, data, hashlib.sha256).hex()[:MAC_HEX]


def args_digest(key: bytes, canonical_args: bytes) -> str:
    """Compute the digest of arguments in canonical JSON, before anything in them is masked."""
    return mac(key, b"args\0" + canonical_args)


def fingerprint(key: bytes, type: str, value: str) -> str:  # noqa: A002 - the product's word
    """Compute what stands for a value in findings: the same for every spelling of it, within one project."""
    return mac(key, type.encode() + b"\0" + value.encode("utf-8", "surrogatepass"))


def token(mac_hex: str) -> str:
    """Write the head of a mac as letters a to p, as masks show it."""
    return mac_hex[:TOKEN_LETTERS].translate(_LETTERS)
