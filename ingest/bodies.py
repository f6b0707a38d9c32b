"""A request's body decompressed, never past a bound."""

import zlib
from typing import Literal

import zstandard

from topics.batches import WINDOW_BYTES_MAX

Encoding = Literal["identity", "gzip", "zstd"]
GZIP_WINDOW = 16 + zlib.MAX_WBITS
PIECE_BYTES = 2**20
MEMBERS_MAX = 256  # streams in one body, one after the other: writers that flush make a few, only an attack makes thousands


class Undecodable(Exception):  # noqa: N818 - says what the body is
    """The body is not what its encoding says."""


class TooLarge(Exception):  # noqa: N818 - says what the body is
    """The body expands past the bound."""


def expand(body: bytes, encoding: Encoding, *, bytes_max: int) -> bytes:
    """Return the body decompressed. Raises `TooLarge` past `bytes_max` bytes, `Undecodable` for a damaged or cut one."""
    match encoding:
        case "identity":
            expanded = body
        case "gzip":
            expanded = _gunzip(body, bytes_max)
        case "zstd":
            expanded = _unzstd(body, bytes_max)
    if len(expanded) > bytes_max:
        raise TooLarge
    return expanded


def is_one_whole_frame(body: bytes, size: int) -> bool:
    """Say whether a zstd body that expands to `size` bytes is one frame that states so: such a one can be kept as it is."""
    return zstandard.frame_content_size(body) == size


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    pieces: list[bytes] = []
    size = members = 0
    while body:
        member = zlib.decompressobj(GZIP_WINDOW)
        members = _counted(members)
        while not member.eof:
            try:
                piece = member.decompress(body, PIECE_BYTES)
            except zlib.error as error:
                raise Undecodable(f"not gzip, or damaged: {error}") from error
            body = member.unconsumed_tail
            size += len(piece)
            if size > bytes_max:
                raise TooLarge
            if not piece and not body and not member.eof:
                raise Undecodable(f"the gzip stream is cut short after {size:,} bytes")
            pieces.append(piece)
        body = member.unused_data
    return b"".join(pieces)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    if not body:
        return b""
    try:
        stated = zstandard.frame_content_size(body)
        if stated > bytes_max:
            raise TooLarge
        if stated > 0:
            try:
                return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
            except zstandard.ZstdError:
                pass  # several frames, or a damaged one: the way below tells which
        return _unzstd_frames(body, bytes_max)
    except zstandard.ZstdError as error:
        raise Undecodable(f"not zstd, or damaged: {error}") from error


def _unzstd_frames(body: bytes, bytes_max: int) -> bytes:
    """Expand frames that do not state their size: once to measure them, since only this way has a bound, then for good."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
    size = frames = 0
    with decompressor.stream_reader(body, read_across_frames=True) as reader:
        while piece := reader.read(PIECE_BYTES):
            size += len(piece)
            if size > bytes_max:
                raise TooLarge
    pieces: list[bytes] = []
    while body:
        frame = decompressor.decompressobj()
        frames = _counted(frames)
        pieces.append(frame.decompress(body))
        if not frame.eof:
            raise Undecodable(f"the zstd stream is cut short after {size:,} bytes")
        body = frame.unused_data
    return b"".join(pieces)


def _counted(members: int) -> int:
    if members == MEMBERS_MAX:
        raise Undecodable(f"more than {MEMBERS_MAX} frames or members in one body; compress it in one go")
    return members + 1
