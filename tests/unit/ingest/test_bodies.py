import gzip
import re
import zlib

import pytest
import zstandard

from ingest.bodies import MEMBERS_MAX, Encoding, TooLarge, Undecodable, expand, is_one_whole_frame
from ingest.delivery import read_headers
from ingest.intake import expand_body
from ingest.problems import Refusal

LINES = b'{"kind":"loss"}\n' * 500


def streamed(lines: bytes) -> bytes:
    """Return zstd as a streaming writer makes it: it does not know the size beforehand."""
    writer = zstandard.ZstdCompressor().compressobj()
    return writer.compress(lines) + writer.flush()


WRITTEN: dict[str, tuple[Encoding, bytes]] = {
    "plain": ("identity", LINES),
    "gzip": ("gzip", gzip.compress(LINES)),
    "gzip in members": ("gzip", gzip.compress(LINES[:100]) + gzip.compress(LINES[100:])),
    "zstd": ("zstd", zstandard.compress(LINES)),
    "zstd streamed": ("zstd", streamed(LINES)),
    "zstd in frames": ("zstd", zstandard.compress(LINES[:100]) + zstandard.compress(LINES[100:])),
    "zstd after a skippable frame": ("zstd", b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.compress(LINES)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_body_expands_to_its_lines(name: str) -> None:
    encoding, body = WRITTEN[name]
    assert expand(body, encoding, bytes_max=len(LINES)) == LINES


@pytest.mark.parametrize("name", WRITTEN)
def test_a_body_past_the_bound_is_too_large(name: str) -> None:
    encoding, body = WRITTEN[name]
    with pytest.raises(TooLarge):
        expand(body, encoding, bytes_max=len(LINES) - 1)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "plain"])
def test_a_body_cut_short_is_undecodable_wherever_it_is_cut(name: str) -> None:
    encoding, body = WRITTEN[name]
    whole = {len(gzip.compress(LINES[:100])), len(zstandard.compress(LINES[:100])), 12}
    for end in range(1, len(body)):
        if end not in whole:
            with pytest.raises(Undecodable):
                expand(body[:end], encoding, bytes_max=len(LINES))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("body", [LINES, b"\x00" * 100, b"\x1f\x8b" + b"\xff" * 50, b"\x28\xb5\x2f\xfd" + b"\xff" * 50])
def test_another_encoding_is_undecodable(encoding: Encoding, body: bytes) -> None:
    with pytest.raises((Undecodable, TooLarge)):
        expand(body, encoding, bytes_max=len(LINES))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_follows_the_stream_is_not_passed_over(encoding: Encoding) -> None:
    body = gzip.compress(LINES) if encoding == "gzip" else zstandard.compress(LINES)
    with pytest.raises(Undecodable):
        expand(body + b"more", encoding, bytes_max=len(LINES))


@pytest.mark.parametrize(("encoding", "empty"), [("gzip", gzip.compress(b"")), ("zstd", zstandard.compress(b""))], ids=["gzip", "zstd"])
def test_streams_without_end_are_not_followed(encoding: Encoding, empty: bytes) -> None:
    assert expand(empty * MEMBERS_MAX, encoding, bytes_max=10) == b""
    with pytest.raises(Undecodable, match="more than 256"):
        expand(empty * (MEMBERS_MAX + 1), encoding, bytes_max=10)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_an_empty_body_is_empty(encoding: Encoding) -> None:
    assert expand(b"", encoding, bytes_max=10) == b""


def test_a_frame_that_wants_a_huge_window_is_refused_before_it_is_given() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = writer.compress(bytes(20_000_000)) + writer.flush()
    assert zstandard.get_frame_parameters(body).window_size == 2**27
    with pytest.raises(Undecodable, match="too much memory"):
        expand(body, "zstd", bytes_max=1 << 30)


def test_a_bomb_costs_no_more_than_the_bound() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    body = bomb.compress(bytes(50_000_000)) + bomb.flush()
    with pytest.raises(TooLarge):
        expand(body, "gzip", bytes_max=1_000_000)


def test_only_a_single_frame_that_states_its_size_is_kept_as_it_is() -> None:
    assert is_one_whole_frame(zstandard.compress(LINES), len(LINES))
    assert not is_one_whole_frame(streamed(LINES), len(LINES))
    assert not is_one_whole_frame(zstandard.compress(LINES[:100]) + zstandard.compress(LINES[100:]), len(LINES))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_cannot_be_expanded_is_answered_with_a_sentence_that_says_why(encoding: str) -> None:
    delivery = read_headers({b"content-type": b"application/x-ndjson", b"content-encoding": encoding.encode()})
    whole = gzip.compress(b"x" * 100) if encoding == "gzip" else zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100)
    with pytest.raises(Refusal) as cut:
        expand_body(whole[:-2], delivery)
    assert re.fullmatch(rf"The body cannot be expanded: the {encoding} stream is cut short after [\d,]+ bytes\.", cut.value.detail)
    with pytest.raises(Refusal, match=f"The body cannot be expanded: not {encoding}, or damaged: "):
        expand_body(b"nonsense", delivery)
