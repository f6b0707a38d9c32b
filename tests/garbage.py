"""Bodies nobody should send, generated from a seed: each with the headers it comes with, and what it is."""

import gzip
import json
import random
import zlib
from collections.abc import Iterator
from functools import cache

import zstandard
from msgspec import Struct

from tests.gateways import lines

HOSTILE_VALUES = (
    b"NaN",
    b"-Infinity",
    b"9223372036854775809",
    b"-9223372036854775809",
    b"1e999",
    b"1" * 5_000,
    b'"\\ud800"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b'{"a":1,"a":2}',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 50_000,
    b'"' + b"x" * 600_000 + b'"',
    b"null",
    b"true",
    b"0.1",
    b"[]",
    b"{}",
    b'""',
    b"01",
    b"+1",
    b"'a'",
    b"/* no */ 1",
)
FIELDS = (
    b"kind",
    b"decision_id",
    b"occurred_at",
    b"action",
    b"mode",
    b"effect",
    b"args",
    b"tags",
    b"facts",
    b"redactions",
    b"evaluated_rules",
    b"new",
)


class Garbage(Struct, frozen=True):
    """One request's body and headers, and a word for what is wrong with it."""

    what: str
    body: bytes
    headers: dict[str, str]


def garbage(seed: int, count: int) -> Iterator[Garbage]:
    """Yield so many bodies."""
    chance = random.Random(seed)
    makers = [_hostile_value, _cut, _flipped, _noise, _many_lines, _bomb, _damaged_stream, _wrong_encoding, _header, _structure]
    for number in range(count):
        yield makers[number % len(makers)](chance)


def _hostile_value(chance: random.Random) -> Garbage:
    fine = json.loads(lines(1, first=chance.randrange(10**6)))
    field = chance.choice(FIELDS)
    fine.pop(field.decode(), None) if chance.random() < 0.7 else None
    line = json.dumps(fine).encode()[:-1] + b',"%s":%s}' % (field, chance.choice(HOSTILE_VALUES))
    if chance.random() < 0.3:
        line = line.replace(b'"table": "orders"', b'"table": ' + chance.choice(HOSTILE_VALUES))
    return Garbage("a hostile value", line + b"\n", {})


def _cut(chance: random.Random) -> Garbage:
    body = lines(chance.randint(1, 5), first=chance.randrange(10**6))
    return Garbage("cut short", body[: chance.randrange(len(body))], {})


def _flipped(chance: random.Random) -> Garbage:
    body = bytearray(lines(chance.randint(1, 5), first=chance.randrange(10**6)))
    for _ in range(chance.randint(1, 20)):
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return Garbage("bits flipped", bytes(body), {})


def _noise(chance: random.Random) -> Garbage:
    return Garbage("noise", chance.randbytes(chance.choice((1, 10, 1_000, 200_000))), {})


def _many_lines(chance: random.Random) -> Garbage:
    line = chance.choice((b"\n", b"{}\n", b"x\n", b"null\r\n", b" \t\n", b'{"kind":"decision"}\n'))
    return Garbage("many lines", line * chance.choice((1, 100, 2_000, 20_001, 1_000_000)), {})


def _bomb(chance: random.Random) -> Garbage:
    encoding = chance.choice(("zstd", "zstd streamed", "gzip"))
    return Garbage(
        f"a bomb, {encoding}", _bomb_of(encoding, chance.choice((33, 64, 200)) * 2**20), {"Content-Encoding": encoding.split()[0]}
    )


@cache
def _bomb_of(encoding: str, size: int) -> bytes:
    if encoding == "zstd":
        return zstandard.compress(bytes(size))
    writer = zlib.compressobj(1, wbits=31) if encoding == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    return writer.compress(bytes(size)) + writer.flush()


def _damaged_stream(chance: random.Random) -> Garbage:
    body, encoding = chance.choice(((zstandard.compress(lines(50)), "zstd"), (gzip.compress(lines(50)), "gzip")))
    held = bytearray(body)
    if chance.random() < 0.5:
        del held[chance.randrange(len(held)) :]
    else:
        held[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
    return Garbage("a damaged stream", bytes(held), {"Content-Encoding": encoding})


def _wrong_encoding(chance: random.Random) -> Garbage:
    body = chance.choice(
        (lines(2), gzip.compress(lines(2)), zstandard.compress(lines(2)), b"", zstandard.compress(b"") * 300, gzip.compress(b"") * 300)
    )
    return Garbage("another encoding", body, {"Content-Encoding": chance.choice(("gzip", "zstd", "br", "identity", "zstd, gzip", "\xff"))})


def _header(chance: random.Random) -> Garbage:
    value = chance.choice(("", "-1", "1e3", "9" * 30, "a/b", "x" * 4_000, "\x80", "0", "1", "true", "http-1"))
    name = chance.choice(("CZ-Producer", "CZ-First-Seq", "CZ-Total", "CZ-Closed", "CZ-Backfill", "CZ-Project", "Content-Type"))
    return Garbage("a hostile header", lines(1), {"CZ-Producer": "garbage", "CZ-First-Seq": "0", name: value})


def _structure(chance: random.Random) -> Garbage:
    """JSON of the right grammar and any shape."""

    def value(depth: int) -> object:
        kind = chance.randrange(6 if depth < 4 else 4)
        if kind == 4:
            return [value(depth + 1) for _ in range(chance.randrange(4))]
        if kind == 5:
            return {chance.choice(FIELDS).decode(): value(depth + 1) for _ in range(chance.randrange(5))}
        return (None, chance.randrange(-(2**66), 2**66), chance.random() * 10 ** chance.randrange(300), "decision")[kind]

    return Garbage("any JSON", b"".join(json.dumps(value(0)).encode() + b"\n" for _ in range(chance.randint(1, 6))), {})
