import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero.batch import partition_of
from controlzero.errors import Rejected, Tampered, Unavailable
from topics.declarations import CONTROL, DECISIONS, Topic
from topics.log import Bounds
from topics.log_file import WAL_PAGES_MAX
from topics.sqlite import MESSAGE_BYTES_MAX, SqliteLog

KEY = b"project/producer"
PARTITION = partition_of(KEY, DECISIONS.partitions)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    yield log
    log.close()


def append(log: SqliteLog, *values: bytes, key: bytes = KEY) -> list[tuple[int, int]]:
    return log.append(DECISIONS.name, [(key, value, {"n": str(len(value))}) for value in values])


def values(log: SqliteLog, offset: int = 0, *, bytes_max: int = 1 << 20) -> list[bytes | None]:
    return [message.value for message in log.read(DECISIONS.name, PARTITION, offset, bytes_max=bytes_max)]


def test_offsets_of_a_partition_are_dense_from_zero(log: SqliteLog) -> None:
    assert append(log, b"a", b"b") + append(log, b"c") == [(PARTITION, 0), (PARTITION, 1), (PARTITION, 2)]
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(0, 3)


def test_a_message_comes_back_as_it_was_appended(log: SqliteLog) -> None:
    log.append(DECISIONS.name, [(KEY, b"\x00\xff", {"producer": "ü", "closed": "1"})])
    [message] = log.read(DECISIONS.name, PARTITION, 0, bytes_max=1)
    assert (message.partition, message.offset, message.key, message.value) == (PARTITION, 0, KEY, b"\x00\xff")
    assert message.headers == {"producer": "ü", "closed": "1"}


def test_messages_of_a_key_share_a_partition_and_keys_spread_over_all(log: SqliteLog) -> None:
    keys = [b"project/%d" % number for number in range(64)]
    places = log.append(DECISIONS.name, [(key, b"", {}) for key in keys * 2])
    assert [partition for partition, _ in places[:64]] == [partition for partition, _ in places[64:]]
    assert {partition for partition, _ in places} == set(range(DECISIONS.partitions))


def test_where_a_key_goes_is_the_same_in_every_version() -> None:
    assert [partition_of(b"default/producer-%d" % number, 4) for number in range(8)] == [3, 1, 3, 1, 2, 0, 2, 0]


def test_reading_stops_at_the_bytes_asked_for_but_returns_one_message_at_least(log: SqliteLog) -> None:
    append(log, b"a" * 1000, b"b" * 1000, b"c" * 1000)
    assert len(values(log, bytes_max=1)) == 1
    assert len(values(log, bytes_max=1500)) == 2
    assert len(values(log, bytes_max=10_000)) == 3


def test_reading_at_the_end_returns_nothing(log: SqliteLog) -> None:
    append(log, b"a")
    assert values(log, 1) == []
    assert log.read(DECISIONS.name, (PARTITION + 1) % DECISIONS.partitions, 0, bytes_max=1) == []


def test_a_second_log_over_the_file_sees_what_the_first_appended_and_goes_on(log: SqliteLog, path: Path) -> None:
    append(log, b"a")
    other = SqliteLog(path)
    assert (other.log_id, other.topic_id(DECISIONS.name)) == (log.log_id, log.topic_id(DECISIONS.name))
    assert append(other, b"b") == [(PARTITION, 1)]
    assert values(log) == [b"a", b"b"]
    other.close()


def test_two_files_are_two_logs(log: SqliteLog, tmp_path: Path) -> None:
    other = SqliteLog(tmp_path / "other.db")
    assert other.log_id != log.log_id
    assert other.topic_id(DECISIONS.name) != log.topic_id(DECISIONS.name) != log.topic_id(CONTROL.name)
    other.close()


def test_only_its_owner_can_read_the_file(log: SqliteLog, path: Path) -> None:
    append(log, b"a")
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_appends_of_many_threads_are_all_there_each_in_its_order(log: SqliteLog) -> None:
    def work(name: int) -> None:
        for number in range(40):
            append(log, b"%d %d" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = [bytes(value or b"") for value in values(log)]
    assert len(read) == 320
    for name in range(8):
        own = [value for value in read if value.startswith(b"%d " % name)]
        assert own == [b"%d %d" % (name, number) for number in range(40)]


def test_a_message_the_log_cannot_take_leaves_nothing_of_its_call(log: SqliteLog) -> None:
    with pytest.raises(Rejected, match="takes at most"):
        append(log, b"a", bytes(MESSAGE_BYTES_MAX + 1))
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(0, 0)


def test_an_undeclared_topic_is_named(log: SqliteLog) -> None:
    with pytest.raises(KeyError, match=r"'cz\.nothing' is not declared"):
        log.append("cz.nothing", [(KEY, b"", {})])


def test_trimmed_messages_are_gone_and_the_rest_keep_their_offsets(log: SqliteLog) -> None:
    append(log, b"a", b"b", b"c")
    log.trim(DECISIONS.name, PARTITION, 2)
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(2, 3)
    assert [(message.offset, message.value) for message in log.read(DECISIONS.name, PARTITION, 0, bytes_max=9)] == [(2, b"c")]


def test_trimming_below_the_start_changes_nothing(log: SqliteLog) -> None:
    append(log, b"a", b"b")
    log.trim(DECISIONS.name, PARTITION, 1)
    log.trim(DECISIONS.name, PARTITION, 0)
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(1, 2)


def test_an_offset_is_never_used_again_not_even_after_all_was_trimmed_and_the_log_reopened(path: Path) -> None:
    log = SqliteLog(path)
    append(log, b"a", b"b")
    log.trim(DECISIONS.name, PARTITION, 2)
    log.close()
    log = SqliteLog(path)
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(2, 2)
    assert append(log, b"c") == [(PARTITION, 2)]
    log.close()


def test_trimming_beyond_the_end_means_the_file_is_not_the_one_that_was_landed(log: SqliteLog) -> None:
    append(log, b"a")
    with pytest.raises(Tampered, match="ends at 1: the ledger has landed more"):
        log.trim(DECISIONS.name, PARTITION, 2)


def test_what_is_trimmed_is_overwritten_in_the_file(path: Path) -> None:
    log = SqliteLog(path)
    append(log, b"a secret that was imported", b"stays")
    log.trim(DECISIONS.name, PARTITION, 1)
    log.close()
    held = path.read_bytes()
    assert b"stays" in held
    assert b"a secret" not in held


def test_a_log_that_is_trimmed_as_fast_as_it_is_filled_does_not_grow(log: SqliteLog, path: Path) -> None:
    def cycle() -> int:
        append(log, *(os.urandom(100_000) for _ in range(20)))
        log.trim(DECISIONS.name, PARTITION, log.bounds(DECISIONS.name, PARTITION).end)
        return path.stat().st_size + path.with_name("log.db-wal").stat().st_size

    sizes = [cycle() for _ in range(24)]  # 48 MB through a log that keeps none
    assert max(sizes) < WAL_PAGES_MAX * 4096 * 2 + 4_000_000
    assert path.stat().st_size < 4_000_000


def test_pages_of_a_backlog_are_given_back(path: Path) -> None:
    log = SqliteLog(path)
    append(log, *(os.urandom(2_000_000) for _ in range(20)))
    log.close()
    grown = path.stat().st_size
    log = SqliteLog(path)
    log.trim(DECISIONS.name, PARTITION, 20)
    for _ in range(5):
        log.trim(DECISIONS.name, PARTITION, 20)
    log.close()
    assert path.stat().st_size < grown - 15_000_000


def control(log: SqliteLog, key: bytes, value: bytes | None) -> int:
    [(partition, offset)] = log.append(CONTROL.name, [(key, value, {})])
    assert partition == 0
    return offset


def test_the_compacted_topic_keeps_the_last_value_of_each_key_at_a_growing_offset(log: SqliteLog) -> None:
    assert [control(log, b"a", b"1"), control(log, b"b", b"1"), control(log, b"a", b"2")] == [0, 1, 2]
    kept = [(message.offset, message.key, message.value) for message in log.read(CONTROL.name, 0, 0, bytes_max=1 << 20)]
    assert kept == [(1, b"b", b"1"), (2, b"a", b"2")]
    assert log.bounds(CONTROL.name, 0) == Bounds(0, 3)


def test_a_tombstone_takes_the_place_of_the_value_it_removes(log: SqliteLog) -> None:
    control(log, b"a", b"1")
    control(log, b"a", None)
    assert [(message.offset, message.value) for message in log.read(CONTROL.name, 0, 0, bytes_max=1)] == [(1, None)]


def test_keys_given_twice_in_one_append_are_compacted_too(log: SqliteLog) -> None:
    log.append(CONTROL.name, [(b"a", b"1", {}), (b"a", b"2", {})])
    assert [message.value for message in log.read(CONTROL.name, 0, 0, bytes_max=1 << 20)] == [b"2"]


def test_a_topic_never_changes_its_partition_count(path: Path) -> None:
    SqliteLog(path).close()
    changed = Topic(name=DECISIONS.name, partitions=8, record="", key="", cleanup="delete")
    with pytest.raises(Tampered, match="has 4 partitions, declared are 8"):
        SqliteLog(path, topics=[changed])


def test_a_topic_declared_later_is_made_at_the_next_open(path: Path) -> None:
    SqliteLog(path, topics=[CONTROL]).close()
    log = SqliteLog(path)
    assert append(log, b"a") == [(PARTITION, 0)]
    log.close()


def edited(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_another_programs_file_is_not_taken_for_a_log(path: Path) -> None:
    path.parent.mkdir()
    edited(path, "CREATE TABLE other (n)")
    with pytest.raises(Tampered, match="is not a Control Zero log"):
        SqliteLog(path)


def test_a_file_of_noise_is_not_taken_for_a_log(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(os.urandom(10_000))
    with pytest.raises(Tampered, match="the file is damaged"):
        SqliteLog(path)


def test_a_file_of_a_newer_version_asks_for_an_upgrade(path: Path) -> None:
    SqliteLog(path).close()
    edited(path, "PRAGMA user_version=99")
    with pytest.raises(Tampered, match=r"written by a newer version .* upgrade"):
        SqliteLog(path)


def test_a_message_beyond_its_partitions_end_is_found_at_open(path: Path) -> None:
    log = SqliteLog(path)
    append(log, b"a", b"b")
    log.close()
    edited(path, "UPDATE partition SET next = 1 WHERE next = 2")
    with pytest.raises(Tampered, match="holds messages beyond its own end"):
        SqliteLog(path)


@pytest.mark.parametrize("edit", ["value = x'62'", "key = x'62'", "headers = '{}'"])
def test_a_message_changed_on_the_disk_is_not_handed_out(path: Path, edit: str) -> None:
    log = SqliteLog(path)
    append(log, b"a")
    edited(path, f"UPDATE message SET {edit}")
    with pytest.raises(Tampered, match=f"message 0 of {DECISIONS.name}/{PARTITION} is not what was appended"):
        values(log)
    log.close()


def test_a_damaged_page_is_told_apart_from_a_busy_disk(path: Path) -> None:
    log = SqliteLog(path)
    append(log, *(os.urandom(2_000) for _ in range(50)))
    log.close()
    held = bytearray(path.read_bytes())
    held[3 * 4096 :] = os.urandom(len(held) - 3 * 4096)
    path.write_bytes(held)
    with pytest.raises(Tampered, match=r"is damaged .* start again"):
        SqliteLog(path)


@pytest.mark.parametrize("instead", ["nothing", "another file"])
def test_a_log_whose_file_was_taken_away_appends_no_more(log: SqliteLog, path: Path, instead: str) -> None:
    append(log, b"a")
    path.rename(path.with_name("moved.db"))
    if instead == "another file":
        SqliteLog(path).close()
    with pytest.raises(Tampered, match="was removed or replaced"):
        append(log, b"b")
    with pytest.raises(Tampered, match="was removed or replaced"):
        values(log)
    path.with_name("moved.db").rename(path)


def test_a_log_held_by_another_program_is_unavailable_and_takes_appends_again_afterwards(path: Path) -> None:
    log = SqliteLog(path, wait_s_max=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds it") as told:
        append(log, b"a")
    assert told.value.retry_after_s == 1
    holder.execute("ROLLBACK")
    holder.close()
    assert append(log, b"b") == [(PARTITION, 0)]
    log.close()


def test_a_process_that_does_not_end_its_turn_makes_the_log_unavailable(path: Path) -> None:
    log, other = SqliteLog(path, wait_s_max=0.05), SqliteLog(path)
    with other._turn.held(), pytest.raises(Unavailable, match="another process has written for"):
        append(log, b"a")
    assert append(log, b"b") == [(PARTITION, 0)]
    log.close()
    other.close()


def test_a_folder_that_cannot_be_made_is_unavailable_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=f"log {tmp_path}/file/home/log.db: Not a directory"):
        SqliteLog(tmp_path / "file" / "home" / "log.db")


def test_a_log_that_could_not_be_opened_keeps_no_file_open(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(os.urandom(10_000))
    before = list(Path("/dev/fd").iterdir())
    for _ in range(3):
        with pytest.raises(Tampered):
            SqliteLog(path)
    assert len(list(Path("/dev/fd").iterdir())) == len(before)
