"""The embedded log: the topics of one SQLite file, appended to, read and trimmed by several processes at once."""

import sqlite3
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from controlzero.batch import partition_of
from controlzero.errors import Rejected, Tampered
from topics.declarations import TOPICS, Topic
from topics.log import Bounds, Message, NewMessage, Place
from topics.log_file import TURN_WAIT_S_MAX, WriteTurn, connect, errors_explained, offset_of, place, prepare, transaction

TRIM_MESSAGES = 1_000  # let go of in one transaction: appenders wait for one of these, not for a whole backlog
# Pages let go of stay in the file for the next messages; beyond this many (16 MiB) they are given back, some each trim.
FREE_PAGES_KEPT = 4_096
FREE_PAGES_GIVEN_BACK = 2_048

MESSAGE_BYTES_MAX = 128 * 2**20  # all of a batch, expanded, fits; SQLite's own bound is 1 GB

_Row = tuple[int, bytes, bytes | None, str, int]  # partition, key, value, headers, checksum

_encode_headers = msgspec.json.Encoder().encode
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class _Append:
    """One caller's messages, made ready and waiting for the next commit."""

    def __init__(self, topic: str, rows: list[_Row]) -> None:
        self.topic = topic
        self.rows = rows
        self.places: list[Place] | None = None
        self.error: BaseException | None = None


class SqliteLog:
    """A `topics.log.Log` in one file. Threads may share one; a process forked from another opens its own.

    Appends of one process that arrive while a commit is under way share the next one, and its fsync.
    Raises `Unavailable` where the disk or another process is in the way, `Tampered` where the file is not
    what it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        topics: Sequence[Topic] = TOPICS,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        wait_s_max: float = TURN_WAIT_S_MAX,
    ) -> None:
        self.path = path
        self._wait_s_max = wait_s_max
        self._waiting: list[_Append] = []
        self._waiting_lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        with errors_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # what agents did is for the product's own user; SQLite's side files take this over
            self._turn = WriteTurn(path.with_name(path.name + ".lock"), wait_s_max=wait_s_max)
            try:
                with self._turn.held():
                    self._open(topics, new_id)
            except BaseException:
                self._turn.close()
                raise

    def _open(self, topics: Sequence[Topic], new_id: Callable[[], str]) -> None:
        self._writer = connect(self.path, wait_s_max=self._wait_s_max)
        try:
            prepare(self._writer, self.path, topics, new_id=new_id)
        except BaseException:
            self._writer.close()
            raise
        self._inode = self.path.stat().st_ino
        self._log_id: str = self._writer.execute("SELECT log_id FROM log").fetchone()[0]
        self._topics: dict[str, tuple[int, str, Topic]] = {
            topic.name: (number, topic_id, topic)
            for topic in topics
            for number, topic_id in self._writer.execute("SELECT number, topic_id FROM topic WHERE name = ?", (topic.name,))
        }

    @property
    def log_id(self) -> str:
        """The random identity this file was made with."""
        return self._log_id

    def topic_id(self, topic: str) -> str:
        """Return the random identity the topic was made with."""
        return self._topics[topic][1]

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        return self._topics[topic][2].partitions

    def append(self, topic: str, messages: Sequence[NewMessage]) -> list[Place]:
        """Append messages, all or none; return their (partition, offset) once they are durable."""
        if topic not in self._topics:
            raise KeyError(f"topic {topic!r} is not declared; declared are {', '.join(self._topics)}")
        mine = _Append(topic, [_row(message, self._topics[topic][2].partitions) for message in messages])
        with self._waiting_lock:
            self._waiting.append(mine)
        with self._writer_lock:
            if mine.places is None and mine.error is None:  # nobody's commit took it along: commit for all who wait
                with self._waiting_lock:
                    together, self._waiting = self._waiting, []
                self._commit(together)
        if mine.error is not None:
            raise mine.error
        assert mine.places is not None  # noqa: S101 - a commit sets one or the other
        return mine.places

    def _commit(self, appends: list[_Append]) -> None:
        try:
            with self._writing() as connection:
                for append in appends:
                    append.places = self._insert(connection, append)
        except BaseException as error:
            for append in appends:
                append.places, append.error = None, error
            if not isinstance(error, Exception):
                raise

    def _insert(self, connection: sqlite3.Connection, append: _Append) -> list[Place]:
        number, _, topic = self._topics[append.topic]
        ends: dict[int, int] = {}
        places: list[Place] = []
        for partition, *_ in append.rows:
            if partition not in ends:
                ends[partition] = self._bounds(connection, number, partition).end
            places.append((partition, ends[partition]))
            ends[partition] += 1
        rows = [(place(number, *at), *row[1:]) for at, row in zip(places, append.rows, strict=True)]
        connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?)", rows)
        connection.executemany("UPDATE partition SET next = ? WHERE place = ?", [(end, place(number, at)) for at, end in ends.items()])
        if topic.cleanup == "compact":
            for at, key, *_ in rows:
                connection.execute(
                    "DELETE FROM message WHERE place = (SELECT place FROM latest WHERE topic = ? AND key = ?)", (number, key)
                )
                connection.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", (number, key, at))
        return places

    def read(self, topic: str, partition: int, offset: int, *, bytes_max: int) -> list[Message]:
        """Return messages from `offset` on, at least one if there is one, up to about `bytes_max` bytes.

        The first may be beyond `offset` where the log was trimmed or compacted.
        """
        number = self._topics[topic][0]
        messages: list[Message] = []
        size = 0
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT place, key, value, headers, checksum FROM message WHERE place >= ? AND place < ? ORDER BY place",
                (place(number, partition, offset), place(number, partition + 1)),
            )
            for at, key, value, headers, checksum in rows:
                if _checksum(key, value, headers) != checksum:
                    raise Tampered(
                        f"log {self.path}: message {offset_of(at)} of {topic}/{partition} is not what was appended (its checksum differs);"
                        " the disk is failing or the file was edited: stop, keep the file, restore it from a copy"
                    )
                messages.append(Message(partition=partition, offset=offset_of(at), key=key, value=value, headers=_decode_headers(headers)))
                size += len(key) + len(value or b"") + len(headers)
                if size >= bytes_max:
                    break
            rows.close()
        return messages

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the offsets the partition holds now. Cheap: made to be asked many times a second."""
        with self._reading() as connection:
            return self._bounds(connection, self._topics[topic][0], partition)

    def _bounds(self, connection: sqlite3.Connection, number: int, partition: int) -> Bounds:
        row = connection.execute("SELECT start, next FROM partition WHERE place = ?", (place(number, partition),)).fetchone()
        if row is None:
            raise KeyError(f"log {self.path}: topic number {number} has no partition {partition}")
        return Bounds(*row)

    def trim(self, topic: str, partition: int, before: int) -> None:
        """Let go of messages below `before`; their pages are used again, and given back when they are many."""
        number = self._topics[topic][0]
        held = self.bounds(topic, partition)
        if before > held.end:
            raise Tampered(
                f"log {self.path}: told to trim {topic}/{partition} below {before}, but it ends at {held.end}: the ledger has landed"
                " more than this file ever held. It was replaced or restored; put the right one back"
            )
        for upto in [*range(held.start + TRIM_MESSAGES, before, TRIM_MESSAGES), before]:
            if upto > held.start:
                with self._writer_lock, self._writing() as connection:
                    first, last = place(number, partition), place(number, partition, upto)
                    connection.execute("DELETE FROM message WHERE place >= ? AND place < ?", (first, last))
                    connection.execute("DELETE FROM latest WHERE topic = ? AND place >= ? AND place < ?", (number, first, last))
                    connection.execute("UPDATE partition SET start = max(start, ?) WHERE place = ?", (upto, first))
        self._give_back_pages()

    def _give_back_pages(self) -> None:
        with self._reading() as connection:
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free > FREE_PAGES_KEPT:
            pages = min(free - FREE_PAGES_KEPT, FREE_PAGES_GIVEN_BACK)
            with self._writer_lock, self._own_transactions() as connection:
                connection.executescript(f"PRAGMA incremental_vacuum({pages})")  # `execute` would step it once: one page

    def close(self) -> None:
        """Close the file. The log can be opened again by anybody."""
        with self._writer_lock, self._turn.held(), errors_explained(self.path):
            for connection in [*self._readers, *([self._writer] if self._writer else [])]:
                connection.close()
            self._readers, self._writer = [], None
        self._turn.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the writer's connection in a transaction. Needs `_writer_lock`."""
        with self._own_transactions() as connection, transaction(connection):
            yield connection

    @contextmanager
    def _own_transactions(self) -> Iterator[sqlite3.Connection]:
        """Give the writer's connection; after an error it is opened anew. Needs `_writer_lock`."""
        with errors_explained(self.path), self._turn.held():
            self._check_same_file()
            if self._writer is None:
                self._writer = connect(self.path, wait_s_max=self._wait_s_max)
            try:
                yield self._writer
            except sqlite3.Error:
                failed, self._writer = self._writer, None
                failed.close()
                raise
        self._check_same_file()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with errors_explained(self.path):
            self._check_same_file()
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = connect(self.path, wait_s_max=self._wait_s_max)
            try:
                yield connection
            except BaseException:
                with self._writer_lock, self._turn.held():  # closing may fold the write-ahead log
                    connection.close()
                raise
            self._readers.append(connection)

    def _check_same_file(self) -> None:
        """Refuse to go on with a file nobody else sees: appends to it would vanish with this process."""
        try:
            same = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise Tampered(
                f"log {self.path}: the file was removed or replaced while it was open; put it back, or restart to begin a new log"
            )


def _row(message: NewMessage, partitions: int) -> _Row:
    key, value, headers = message
    if len(value or b"") > MESSAGE_BYTES_MAX:
        raise Rejected(f"a message of {len(value or b''):,} bytes: the log takes at most {MESSAGE_BYTES_MAX:,}; split it")
    text = _encode_headers(headers).decode()
    return partition_of(key, partitions), key, value, text, _checksum(key, value, text)


def _checksum(key: bytes, value: bytes | None, headers: str) -> int:
    return zlib.crc32(headers.encode(), zlib.crc32(value or b"", zlib.crc32(key)))
