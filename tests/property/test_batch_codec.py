from hypothesis import given
from hypothesis import strategies as st

from controlzero.batch import Batch, compress_lines, encode_batch
from topics.batches import decode_batch, expand_lines
from topics.log import Message

names = st.text(st.characters(codec="ascii", categories=["Ll", "Lu", "Nd"], include_characters="._:-"), min_size=1, max_size=128)
counts = st.integers(0, 2**63 - 1)
batches = st.builds(
    Batch,
    project_id=names,
    producer_id=names,
    first_seq=counts,
    count=counts,
    total=counts,
    received_at=st.none() | counts,
    value=st.binary(max_size=50),
    closed=st.booleans(),
    backfill=st.booleans(),
)


@given(batches, st.integers(0, 4095), counts)
def test_every_batch_comes_back_from_its_message(batch: Batch, partition: int, offset: int) -> None:
    key, value, headers = encode_batch(batch)
    assert decode_batch(Message(partition=partition, offset=offset, key=key, value=value, headers=headers)) == batch


@given(st.binary(max_size=5_000))
def test_lines_come_back_from_their_value(lines: bytes) -> None:
    assert expand_lines(compress_lines(lines)) == lines
