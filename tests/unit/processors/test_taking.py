"""How much one commit takes, and when a log is not the one that was landed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controlzero.errors import Tampered
from processors.taking import Portion, lags, take
from processors.testing import a_message, a_place
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog

LINE = b'{"kind":"loss"}'


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        yield log


def append(log: SqliteLog, producer: str, lines: list[bytes]) -> tuple[int, int]:
    message = a_message(lines, a_place(producer_id=producer, count=len(lines)))
    return log.append(DECISIONS.name, [(message.key, message.value, message.headers)])[0]


def offsets() -> dict[int, int]:
    return dict.fromkeys(range(DECISIONS.partitions), 0)


def test_all_partitions_are_taken_from_their_offsets_on(log: SqliteLog) -> None:
    places = [append(log, f"producer {number}", [LINE]) for number in range(12)]
    taken = take(log, offsets())
    assert taken.is_all
    assert sorted((message.partition, message.offset) for message in taken.messages) == sorted(places)
    later = take(log, dict.fromkeys(range(DECISIONS.partitions), 1))
    assert sorted((message.partition, message.offset) for message in later.messages) == sorted(place for place in places if place[1] >= 1)


def test_an_empty_log_is_all_taken(log: SqliteLog) -> None:
    assert take(log, offsets()).messages == []
    assert take(log, offsets()).is_all


@pytest.mark.parametrize("portion", [Portion(records_max=7), Portion(messages_max=2), Portion(expanded_bytes_max=3 * 16 * 3)])
def test_a_commit_takes_no_more_than_its_portion(log: SqliteLog, portion: Portion) -> None:
    for _ in range(5):
        append(log, "one", [LINE] * 3)
    taken = take(log, offsets(), portion=portion)
    assert not taken.is_all
    assert len(taken.messages) in (2, 3)


def test_a_message_larger_than_the_portion_is_taken_alone(log: SqliteLog) -> None:
    append(log, "one", [LINE] * 50)
    append(log, "one", [LINE])
    taken = take(log, offsets(), portion=Portion(records_max=10))
    assert [message.offset for message in taken.messages] == [0]


def test_no_partition_waits_for_another_for_long(log: SqliteLog) -> None:
    for number in range(40):
        append(log, f"producer {number}", [LINE])
    first = {take(log, offsets(), portion=Portion(messages_max=1), first=turn).messages[0].partition for turn in range(4)}
    assert first == set(range(DECISIONS.partitions))


def test_a_ledger_ahead_of_the_log_is_told_with_the_way_out(log: SqliteLog) -> None:
    partition, offset = append(log, "one", [LINE])
    assert lags(log, offsets() | {partition: offset + 1})[partition].messages == 0
    with pytest.raises(Tampered, match="Put the right one back"):
        lags(log, offsets() | {partition: offset + 2})
