"""How far a producer's spool is delivered: a fixed file of two slots, overwritten in place.

In place, because a full disk must not stop the deletion that makes room again; two slots with a checksum,
because a machine that loses power may tear one.
"""

import os
import zlib
from pathlib import Path

from msgspec import Struct

from controlzero.errors import Tampered

FILE_NAME = "position"
SLOT_BYTES = 64


class Position(Struct, frozen=True, order=True):
    """Everything before record number `seq` is delivered; it starts at `offset` of segment `segment`."""

    seq: int = 0
    segment: int = 0
    offset: int = 0


class PositionFile:
    """The position of one producer, read and moved forward by whoever holds its lock."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._slots = self._read()
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def position(self) -> Position:
        """The furthest position written."""
        return max((slot for slot in self._slots if slot is not None), default=Position())

    def advance(self, position: Position, *, is_durable: bool = False) -> None:
        """Write a further position over the older slot; `is_durable` waits for the disk."""
        older = 0 if self._slots[0] is None or (self._slots[1] is not None and self._slots[0] <= self._slots[1]) else 1
        os.pwrite(self._fd, _encode(position), older * SLOT_BYTES)
        self._slots[older] = position
        if is_durable:
            os.fsync(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _read(self) -> list[Position | None]:
        data = os.pread(self._fd, 2 * SLOT_BYTES, 0)
        if not data:
            os.pwrite(self._fd, _encode(Position()) * 2, 0)
            return [Position(), Position()]
        slots = [_decode(data[:SLOT_BYTES]), _decode(data[SLOT_BYTES:])]
        if slots == [None, None]:
            raise Tampered(
                f"spool position `{self._path}`: neither slot has a valid checksum; expected the place up to which records are "
                "delivered. Move the folder aside and keep it: its records can be sent again once their first number is known"
            )
        return slots


def _encode(position: Position) -> bytes:
    text = f"{position.seq:020d} {position.segment:010d} {position.offset:020d}".encode()
    return text + b" %08x\n\n\n" % zlib.crc32(text)


def _decode(slot: bytes) -> Position | None:
    text, checksum = slot[:52], slot[53:61]
    if len(slot) != SLOT_BYTES or checksum != b"%08x" % zlib.crc32(text):
        return None
    seq, segment, offset = text.split()
    return Position(int(seq), int(segment), int(offset))
