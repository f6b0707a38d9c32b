"""What the headers of a delivery say: how its body is written, and which range of which producer it is."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from controlzero.records import INT64_MAX, SCHEMA_VERSION
from ingest.bodies import Encoding
from ingest.limits import BODY_BYTES_MAX, NAME_IN_HEADER_CHARS_MAX
from ingest.problems import Refusal

Headers = Mapping[bytes, bytes]

CONTENT_TYPES = frozenset(
    {b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines", b"application/json"}
)
CONTENT_ENCODINGS: dict[bytes, Encoding] = {b"": "identity", b"identity": "identity", b"gzip": "gzip", b"x-gzip": "gzip", b"zstd": "zstd"}
CONTENT_PRODUCER_PREFIX = "http-"  # of producers named after their content: a delivery that numbers nothing itself
CONTENT_DIGEST_CHARS = 24

_NAME = re.compile(rb"[A-Za-z0-9._:-]+\Z")
_DIGITS = re.compile(rb"[0-9]{1,19}\Z")


class Delivery(Struct, frozen=True, kw_only=True):
    """What a delivery claims of itself. Without a producer it is one of its own, named after the content."""

    encoding: Encoding
    length: int | None  # the body's, where the client says so
    producer_id: str | None
    first_seq: int
    total: int | None
    closed: bool
    backfill: bool


def read_headers(headers: Headers) -> Delivery:
    """Return what the headers say. Raises `Refusal` (409, 413, 415, 422) for what they must not."""
    version = _count_in(headers, b"cz-schema-version", "CZ-Schema-Version")
    if version is not None and version > SCHEMA_VERSION:
        raise Refusal("schema-newer", f"`CZ-Schema-Version` is {version}; this gateway reads {SCHEMA_VERSION}.")
    producer_id = name_in(headers, b"cz-producer", "CZ-Producer")
    if producer_id is not None and producer_id.startswith(CONTENT_PRODUCER_PREFIX):
        raise Refusal("bad-header", f"`CZ-Producer` starts with `{CONTENT_PRODUCER_PREFIX}`, which names deliveries without a producer.")
    first_seq = _count_in(headers, b"cz-first-seq", "CZ-First-Seq")
    total = _count_in(headers, b"cz-total", "CZ-Total")
    if producer_id is not None and first_seq is None:
        raise Refusal("bad-header", "`CZ-Producer` is there without `CZ-First-Seq`: the number of the first line must be known.")
    if producer_id is None and (first_seq is not None or total is not None or b"cz-closed" in headers):
        raise Refusal("bad-header", "`CZ-First-Seq`, `CZ-Total` and `CZ-Closed` number a producer's records: name it in `CZ-Producer`.")
    return Delivery(
        encoding=_encoding_in(headers),
        length=_length_in(headers),
        producer_id=producer_id,
        first_seq=first_seq or 0,
        total=total,
        closed=_flag_in(headers, b"cz-closed", "CZ-Closed"),
        backfill=_flag_in(headers, b"cz-backfill", "CZ-Backfill"),
    )


def total_after(delivery: Delivery, count: int) -> int:
    """Return the producer's running total once `count` records are in. Raises `Refusal` (422) where the claim cannot be."""
    end = delivery.first_seq + count
    if end > INT64_MAX:
        raise Refusal("bad-header", f"`CZ-First-Seq` is {delivery.first_seq}: with {count} lines the numbers pass 2^63 - 1.")
    if delivery.total is None:
        return end
    if delivery.total < end:
        raise Refusal(
            "bad-header", f"`CZ-Total` is {delivery.total}, but lines {delivery.first_seq} to {end - 1} are here: expected {end} or more."
        )
    return delivery.total


def producer_of_content(project_id: str, body: bytes) -> str:
    """Return the producer of a delivery that names none: the same for the same lines, so that a repeat is found to be one."""
    digest = hashlib.sha256(project_id.encode())
    digest.update(body)
    return CONTENT_PRODUCER_PREFIX + digest.hexdigest()[:CONTENT_DIGEST_CHARS]


def name_in(headers: Headers, name: bytes, shown: str) -> str | None:
    """Return a project's or producer's name from a header. Raises `Refusal` (422) where it is not one."""
    value = headers.get(name)
    if value is None:
        return None
    if not is_name(value):
        raise Refusal(
            "bad-header", f"`{shown}` is not a name: expected 1 to {NAME_IN_HEADER_CHARS_MAX} letters, digits, `.`, `_`, `:` or `-`."
        )
    return value.decode()


def is_name(value: bytes) -> bool:
    """Say whether this can be a project's or producer's name."""
    return len(value) <= NAME_IN_HEADER_CHARS_MAX and _NAME.match(value) is not None


def _count_in(headers: Headers, name: bytes, shown: str) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    if not _DIGITS.match(value) or int(value) > INT64_MAX:
        raise Refusal("bad-header", f"`{shown}` is not a number from 0 to 2^63 - 1 in digits.")
    return int(value)


def _flag_in(headers: Headers, name: bytes, shown: str) -> bool:
    value = headers.get(name, b"0")
    if value not in (b"0", b"1"):
        raise Refusal("bad-header", f"`{shown}` is neither 1 nor 0.")
    return value == b"1"


def _encoding_in(headers: Headers) -> Encoding:
    return _encoding_of(headers.get(b"content-type", b"application/x-ndjson"), headers.get(b"content-encoding", b""))


@lru_cache(maxsize=64)  # a sender says the same each time
def _encoding_of(content_type: bytes, content_encoding: bytes) -> Encoding:
    content_type, _, parameters = content_type.lower().partition(b";")
    if content_type.strip() not in CONTENT_TYPES:
        raise Refusal("content-type", "`Content-Type` does not name newline-delimited JSON.")
    charset = parameters.partition(b"charset=")[2].strip(b' "')
    if charset not in (b"", b"utf-8", b"utf8", b"us-ascii"):
        raise Refusal("content-type", "`Content-Type` names a charset other than UTF-8.")
    encoding = CONTENT_ENCODINGS.get(content_encoding.lower().strip())
    if encoding is None:
        raise Refusal(
            "content-encoding", "`Content-Encoding` is none of zstd, gzip, identity.", headers={"Accept-Encoding": "zstd, gzip, identity"}
        )
    return encoding


def _length_in(headers: Headers) -> int | None:
    value = headers.get(b"content-length")
    if value is None:
        return None
    if not _DIGITS.match(value):
        raise Refusal("bad-header", "`Content-Length` is not a number.")
    if int(value) > BODY_BYTES_MAX:
        raise Refusal("body-too-large", f"The body is {int(value):,} bytes long, expected at most {BODY_BYTES_MAX:,}.")
    return int(value)
