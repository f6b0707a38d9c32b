"""The SQLite file of the embedded log: how it is opened and checked, whose turn it is to write, what its errors mean."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from controlzero.errors import Tampered, Unavailable
from topics.declarations import Topic

APPLICATION_ID = 0x435A4C47  # "CZLG": what `file log.db` and we recognise it by
FILE_VERSION = 1

# How long an append waits for another process's transaction. Commits take milliseconds: past this, something
# holds the file (a backup, a shell), and a caller that is told so does better than one that hangs.
TURN_WAIT_S_MAX = 5.0
TURN_POLL_S = 0.001

# The write-ahead log is folded into the file at this many pages (16 MiB), and cut back to WAL_BYTES_KEPT after a
# burst: rare enough that its two extra fsyncs do not show, small enough to be replayed at open in a blink.
WAL_PAGES_MAX = 4_096
WAL_BYTES_KEPT = 64 * 2**20

SCHEMA = """
CREATE TABLE log (log_id TEXT NOT NULL);
CREATE TABLE topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, topic_id TEXT NOT NULL, partitions INTEGER NOT NULL);
CREATE TABLE partition (place INTEGER PRIMARY KEY, start INTEGER NOT NULL, next INTEGER NOT NULL);
CREATE TABLE message (
    place INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB, headers TEXT NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE latest (topic INTEGER NOT NULL, key BLOB NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (topic, key)) WITHOUT ROWID;
"""

# One integer is a message's place: topic, partition, offset. One b-tree, appended to at the end of each partition.
OFFSET_BITS = 44  # 1.7e13 messages: 50 years at 10,000 a second
PARTITION_BITS = 12


def place(topic_number: int, partition: int, offset: int = 0) -> int:
    """Return the primary key of a message: sorted by topic, partition, offset."""
    return (topic_number << PARTITION_BITS | partition) << OFFSET_BITS | offset


def offset_of(at: int) -> int:
    """Return the offset in a place."""
    return at & ((1 << OFFSET_BITS) - 1)


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours, each with the way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    except OSError as error:
        raise Unavailable(f"log {path}: {error.strerror or error}; it is tried again", retry_after_s=5) from error


def _explained(path: Path, error: sqlite3.Error) -> Exception:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Tampered(
            f"log {path}: the file is damaged ({error}); nothing more is written to it. Stop the product, move it with its -wal aside"
            f" and start again: what had landed is in the ledger, the rest can be read with `sqlite3 {path} .recover`"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(f"log {path}: another process holds it ({error}); find it with `fuser {path}`", retry_after_s=1)
    if name.startswith("SQLITE_FULL"):
        return Unavailable(
            f"log {path}: the disk is full; free some space on its filesystem (nothing was appended, nothing accepted is lost)",
            retry_after_s=5,
        )
    if name.startswith("SQLITE_READONLY"):
        return Unavailable(f"log {path}: it is read-only; make the folder {path.parent} and its files writable", retry_after_s=5)
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH", "SQLITE_NOMEM", "SQLITE_PROTOCOL")):
        return Unavailable(
            f"log {path}: the disk does not answer ({name}: {error}); check the filesystem of {path.parent}", retry_after_s=5
        )
    return error


def connect(path: Path, *, wait_s_max: float) -> sqlite3.Connection:
    """Open a connection whose commits are on the disk when they return."""
    connection = sqlite3.connect(path, timeout=wait_s_max, isolation_level=None, check_same_thread=False, cached_statements=32)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=ON")  # macOS: its fsync alone leaves data in the drive
        connection.execute("PRAGMA checkpoint_fullfsync=ON")
        connection.execute("PRAGMA secure_delete=ON")  # a trimmed message is gone: imports may have held personal data
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_MAX}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path, topics: Sequence[Topic], *, new_id: Callable[[], str]) -> None:
    """Make the file if it is new, else prove that it is ours and whole; then make the topics it lacks. Needs the turn to write."""
    marker = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if marker == 0 and tables == 0:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before the first table, or it needs a rewrite of the file
        connection.execute("PRAGMA journal_mode=WAL")
        statements = [*SCHEMA.split(";\n"), f"PRAGMA application_id={APPLICATION_ID}", f"PRAGMA user_version={FILE_VERSION}"]
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO log VALUES (?)", (new_id(),))
        _sync_directory(path.parent)
    _check(connection, path)
    with transaction(connection):
        _make_missing(connection, path, topics, new_id)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    marker = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if marker != APPLICATION_ID:
        raise Tampered(f"log {path}: this SQLite file is not a Control Zero log (application_id {marker:#x}); move it aside")
    if version > FILE_VERSION:
        raise Tampered(f"log {path}: written by a newer version (file version {version}, this one reads {FILE_VERSION}); upgrade")
    beyond = connection.execute(
        "SELECT place FROM partition WHERE next < start OR EXISTS"
        " (SELECT 1 FROM message WHERE message.place >= partition.place + next AND message.place < partition.place + ?)",
        (1 << OFFSET_BITS,),
    ).fetchone()
    if beyond:
        raise Tampered(
            f"log {path}: partition {beyond[0] >> OFFSET_BITS} holds messages beyond its own end; restore the file or move it aside"
        )


def _make_missing(connection: sqlite3.Connection, path: Path, topics: Sequence[Topic], new_id: Callable[[], str]) -> None:
    there = dict(connection.execute("SELECT name, partitions FROM topic").fetchall())
    for topic in topics:
        if topic.name not in there:
            number = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM topic").fetchone()[0]
            connection.execute("INSERT INTO topic VALUES (?, ?, ?, ?)", (number, topic.name, new_id(), topic.partitions))
            rows = [(place(number, partition), 0, 0) for partition in range(topic.partitions)]
            connection.executemany("INSERT INTO partition VALUES (?, ?, ?)", rows)
        elif there[topic.name] != topic.partitions:
            raise Tampered(
                f"log {path}: topic {topic.name} has {there[topic.name]} partitions, declared are {topic.partitions};"
                " a topic's count never changes: declare a new version of it"
            )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what happens inside, durably, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class WriteTurn:
    """One process at a time writes, folds the write-ahead log, or closes.

    SQLite has locks of its own for this, but up to 3.51.2 a checkpoint that overlaps a commit of another
    connection can lose committed pages (sqlite.org/wal.html, "the WAL-reset bug"), and the interpreter's
    SQLite is often older. Under this lock they never overlap. It is released by the kernel when a process dies.
    """

    def __init__(self, path: Path, *, wait_s_max: float) -> None:
        self._path = path
        self._wait_s_max = wait_s_max
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the turn and keep it. Raises `Unavailable` where it does not come."""
        give_up_at = time.monotonic() + self._wait_s_max
        while not self._taken():
            if time.monotonic() > give_up_at:
                raise Unavailable(
                    f"log {self._path}: another process has written for {self._wait_s_max:g} s; find it with `fuser {self._path}`",
                    retry_after_s=1,
                )
            time.sleep(TURN_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of the lock file."""
        os.close(self._descriptor)
