import asyncio
import time
from collections.abc import Sequence

import pytest
from starlette.types import Message

from ingest.limits import BODY_BYTES_MAX, IN_FLIGHT_BYTES_MAX
from ingest.metrics import Counts
from ingest.problems import Refusal
from ingest.receiving import BodyReader, Disconnected


def read(*messages: Message | None, counts: Counts | None = None, read_s_max: float = 30.0) -> bytes:
    """Read a body that comes in these messages; None is one that never comes."""

    async def run() -> bytes:
        left = list(messages)

        async def receive() -> Message:
            message = left.pop(0)
            if message is None:
                await asyncio.Event().wait()
            assert message is not None
            return message

        reader = BodyReader(counts or Counts(), monotonic=time.monotonic, read_s_max=read_s_max)
        watch = asyncio.create_task(reader.watch())
        try:
            return await reader.read(receive)
        finally:
            watch.cancel()

    return asyncio.run(run())


def pieces(*bodies: bytes) -> Sequence[Message]:
    return [{"type": "http.request", "body": body, "more_body": place < len(bodies) - 1} for place, body in enumerate(bodies)]


def test_a_body_is_its_pieces_in_order() -> None:
    assert read(*pieces(b"a", b"", b"b")) == b"ab"
    assert read({"type": "http.request"}) == b""


def test_the_bytes_of_a_body_are_in_flight_until_they_are_released() -> None:
    counts = Counts()
    body = read(*pieces(b"a" * 10, b"b" * 5), counts=counts)
    assert (counts.bytes_in_flight, counts.bytes_received) == (15, 15)
    BodyReader(counts, monotonic=time.monotonic).release(len(body))
    assert counts.bytes_in_flight == 0


def test_lines_that_expand_are_held_too_within_the_bound() -> None:
    counts = Counts()
    reader = BodyReader(counts, monotonic=time.monotonic)
    reader.hold(IN_FLIGHT_BYTES_MAX)
    with pytest.raises(Refusal) as told:
        reader.hold(1)
    assert (told.value.slug, counts.bytes_in_flight) == ("too-much-in-flight", IN_FLIGHT_BYTES_MAX)


@pytest.mark.parametrize(
    ("bodies", "in_flight", "slug"),
    [
        ((b"x" * BODY_BYTES_MAX, b"x"), 0, "body-too-large"),
        ((b"x",), IN_FLIGHT_BYTES_MAX, "too-much-in-flight"),
    ],
)
def test_past_a_bound_the_body_is_refused_and_let_go(bodies: Sequence[bytes], in_flight: int, slug: str) -> None:
    counts = Counts()
    counts.bytes_in_flight = in_flight
    with pytest.raises(Refusal) as told:
        read(*pieces(*bodies), counts=counts)
    assert (told.value.slug, counts.bytes_in_flight, counts.bytes_received) == (slug, in_flight, 0)


def test_too_much_in_flight_says_when_to_come_again() -> None:
    counts = Counts()
    counts.bytes_in_flight = IN_FLIGHT_BYTES_MAX
    with pytest.raises(Refusal) as told:
        read(*pieces(b"x"), counts=counts)
    assert told.value.headers["Retry-After"] == "1"


@pytest.mark.parametrize("begun", [(), ({"type": "http.request", "body": b"abc", "more_body": True},)])
def test_a_body_that_does_not_end_is_given_up(begun: tuple[Message, ...]) -> None:
    counts = Counts()
    with pytest.raises(Refusal) as told:
        read(*begun, None, counts=counts, read_s_max=0.05)
    assert (told.value.slug, counts.bytes_in_flight) == ("body-too-slow", 0)


def test_a_client_that_leaves_is_no_problem_and_leaves_nothing() -> None:
    counts = Counts()
    with pytest.raises(Disconnected):
        read({"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}, counts=counts)
    assert counts.bytes_in_flight == 0
