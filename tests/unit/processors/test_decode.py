"""What messages become: records in their places, and reasons for what is none."""

import pytest
from msgspec.structs import replace

from controlzero.batch import compress_lines
from controlzero.errors import Unavailable
from controlzero.records import Decision, Rejected, encode_record
from processors.flow import Opened, Unreadable
from processors.steps.decode import decode
from processors.testing import RECEIVED_AT, a_message, a_place
from topics.log import Message

DECISION = Decision(decision_id="0" * 8 + "-0000-7000-8000-" + "0" * 12, occurred_at=1, action="a", mode="log-only", effect="allow")


def opened(message: Message, *, thorough: bool = False) -> Opened:
    (one,) = decode([message], log_id="log", now=RECEIVED_AT, thorough=thorough)
    return one


def changed(message: Message, **headers: str) -> Message:
    return Message(partition=0, offset=message.offset, key=message.key, value=message.value, headers=message.headers | headers)


def test_lines_keep_their_places() -> None:
    rejected = Rejected(code="bad", path="$", reason="no", length=1, sha256="0" * 64, bytes=b"\xff")
    found = opened(a_message([DECISION, rejected, DECISION], a_place(first_seq=7, offset=3)))
    assert list(found.lines) == [DECISION, rejected, DECISION]
    assert (found.place.first_seq, found.place.count, found.place.log_offset) == (7, 3, 3)


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"kind":"decision"}', b'{"kind":"loss","x":1}', encode_record(DECISION).replace(b'"a"', b'"\xff"'), b'{"a":' * 2000 + b"1" + b"}" * 2000],
)  # fmt: skip
def test_a_bad_line_is_unreadable_with_its_bytes_and_the_others_are_not(line: bytes) -> None:
    found = opened(a_message([DECISION, line, DECISION], a_place()))
    assert (found.lines[0], found.lines[2]) == (DECISION, DECISION)
    assert isinstance(found.lines[1], Unreadable)
    assert found.lines[1].bytes == line
    assert found.lines[1].reason


def test_json_that_later_steps_cannot_read_is_found_when_told_to_be_thorough() -> None:
    line = encode_record(DECISION)[:-1] + b',"args":{"n":1e999}}'
    assert isinstance(opened(a_message([line], a_place())).lines[0], Decision)
    (thorough,) = opened(a_message([line], a_place()), thorough=True).lines
    assert isinstance(thorough, Unreadable)
    assert "out of range" in thorough.reason


def test_an_id_that_is_no_uuid_is_found_when_told_to_be_thorough() -> None:
    line = encode_record(DECISION).replace(b"00000000-0000", b"zzzzzzzz-0000")
    (thorough,) = opened(a_message([line], a_place()), thorough=True).lines
    assert isinstance(thorough, Unreadable)


@pytest.mark.parametrize("value", [b"", b"not zstd", compress_lines(b"{}\n{}\n{}\n"), compress_lines(b"x\n")[:-4]])
def test_a_message_whose_lines_cannot_be_told_is_unreadable_as_a_whole(value: bytes) -> None:
    message = a_message([DECISION, DECISION], a_place())
    found = opened(Message(partition=0, offset=0, key=message.key, value=value, headers=message.headers))
    assert found.unreadable is not None
    assert found.place.count == 2


def test_a_batch_that_an_agent_wrote_was_received_when_it_is_read() -> None:
    message = a_message([DECISION], a_place())
    headers = {name: text for name, text in message.headers.items() if name != "received_at"}
    found = opened(replace(message, headers=headers))
    assert (found.lines, found.place.received_at, found.place.count) == ([DECISION], RECEIVED_AT, 1)


@pytest.mark.parametrize("headers", [{"count": "-1"}, {"first_seq": str(2**63)}, {"received_at": "9" * 30}, {"project": "other"}])
def test_a_message_that_no_gateway_wrote_is_nobodys(headers: dict[str, str]) -> None:
    found = opened(changed(a_message([DECISION], a_place()), **headers))
    assert found.unreadable is not None
    assert (found.place.producer_id, found.place.count) == ("", 1)


def test_a_message_of_a_newer_version_waits_for_an_upgrade() -> None:
    with pytest.raises(Unavailable, match="upgrade"):
        opened(changed(a_message([DECISION], a_place()), schema_version="99"))


def test_an_empty_batch_is_whole() -> None:
    found = opened(a_message([], a_place(first_seq=4, closed=True)))
    assert (found.lines, found.unreadable) == ((), None) or (list(found.lines), found.unreadable) == ([], None)
