import pytest
import zstandard
from msgspec.structs import replace

from controlzero.batch import STORED_BYTES_MAX, Batch, compress_lines, encode_batch
from controlzero.errors import Rejected, Unavailable
from topics.batches import decode_batch, expand_lines
from topics.log import Message

BATCH = Batch(project_id="p", producer_id="x", first_seq=7, count=2, total=9, received_at=5, value=compress_lines(b"{}\n{}\n"))


def message_of(batch: Batch, **headers: str | None) -> Message:
    key, value, said = encode_batch(batch)
    kept = {name: text for name, text in {**said, **headers}.items() if text is not None}
    return Message(partition=1, offset=3, key=key, value=value, headers=kept)


def test_a_batch_comes_back_from_its_message() -> None:
    for batch in (BATCH, replace(BATCH, closed=True), replace(BATCH, received_at=None), replace(BATCH, backfill=True, schema_version=1)):
        assert decode_batch(message_of(batch)) == batch


def test_an_empty_batch_has_a_value_that_expands_to_nothing() -> None:
    empty = replace(BATCH, count=0, closed=True, value=compress_lines(b""))
    assert expand_lines(decode_batch(message_of(empty)).value) == b""


@pytest.mark.parametrize("name", ["project", "producer", "first_seq", "count", "total", "schema_version"])
def test_a_message_without_a_header_is_no_batch(name: str) -> None:
    with pytest.raises(Rejected, match=f"message 3 of partition 1: no header '{name}'"):
        decode_batch(message_of(BATCH, **{name: None}))


@pytest.mark.parametrize("text", ["", "-1", "1.0", "٣", " 1"])
def test_a_number_in_a_header_is_digits(text: str) -> None:
    with pytest.raises(Rejected, match="header `first_seq` of a message: expected digits"):
        decode_batch(message_of(BATCH, first_seq=text))


def test_a_batch_of_a_newer_version_waits_for_an_upgrade() -> None:
    with pytest.raises(Unavailable, match="schema version 2, this one reads 1; upgrade the workers"):
        decode_batch(message_of(BATCH, schema_version="2"))


def test_a_batch_under_another_producers_key_is_refused() -> None:
    with pytest.raises(Rejected, match="its key is b'p/x', its headers say b'p/y'"):
        decode_batch(message_of(BATCH, producer="y"))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1_000, STORED_BYTES_MAX - 1, STORED_BYTES_MAX, 100_000])
def test_any_zstd_reader_reads_a_value_of_any_size(size: int) -> None:
    lines = bytes(place % 251 for place in range(size))
    value = compress_lines(lines)
    assert zstandard.ZstdDecompressor().decompress(value, allow_extra_data=False) == lines
    assert zstandard.frame_content_size(value) == size
    stream = zstandard.ZstdDecompressor().decompressobj()
    assert stream.decompress(value) == lines
    assert stream.eof


def test_lines_survive_compression() -> None:
    lines = b'{"n":1}\n' * 1000
    assert len(compress_lines(lines)) < 200
    assert expand_lines(compress_lines(lines)) == lines


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}\n",
        compress_lines(b"{}\n" * 100)[:-1],
        compress_lines(b"{}\n") + b"x",
        zstandard.ZstdCompressor(write_content_size=False).compress(b"{}\n"),
    ],
    ids=["nothing", "plain", "cut", "followed by more", "of unknown size"],
)
def test_a_value_that_is_not_one_whole_frame_is_refused(value: bytes) -> None:
    with pytest.raises(Rejected, match="a batch's value"):
        expand_lines(value)


def test_a_value_that_states_more_than_the_bound_is_not_expanded() -> None:
    with pytest.raises(Rejected, match="states 1000 bytes expanded, expected at most 999"):
        expand_lines(compress_lines(bytes(1000)), bytes_max=999)
