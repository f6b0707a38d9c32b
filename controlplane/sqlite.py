"""The control plane's database in the data folder: what is SQLite's own."""

import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from controlzero.errors import ControlZeroError, Tampered, Unavailable

BUSY_S = 10  # how long a change waits for another process's; a change takes milliseconds
AGAIN_S = 0.01
RETRY_AFTER_S = 1.0
PRIMARY_CODE = 0xFF  # of an extended error code, what says the kind


def path_of(home: Path) -> Path:
    """Return where the database of a data folder is."""
    return home / "control.db"


def engine_over(home: Path) -> Engine:
    """Return an engine for the database in `home`, which is made where it is missing. Raises `Unavailable` where it cannot be."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path_of(home).exists():
            path_of(home).touch(mode=0o600)  # the product's own user reads it, whoever made the folder; SQLite's side files take this over
    except OSError as error:
        raise Unavailable(f"data folder {home}: {error.strerror}; expected a folder that can be made or written to") from error
    engine = create_engine(f"sqlite:///{path_of(home)}")
    event.listen(engine, "connect", _tune)
    event.listen(engine, "begin", _begin)
    return engine


def told(error: DBAPIError) -> ControlZeroError | None:
    """Return what people are told of an error; None where the statement is at fault, which is a defect here."""
    if isinstance(error, OperationalError):
        return Unavailable(
            f"control plane database: {error.orig}; expected it readable and writable. Nothing was changed; "
            "look at the disk and at other processes on this data folder, then repeat",
            retry_after_s=RETRY_AFTER_S,
        )
    if type(error) is DatabaseError:  # a subclass says that the statement is at fault
        return Tampered(f"control plane database: {error.orig}; expected a whole control.db, so restore it from a backup")
    return None


def _tune(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see `_begin`
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
    _keep_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _keep_write_ahead_log(cursor: DBAPICursor) -> None:
    """Have the file keep one. Of several that do this to a new file at once, SQLite refuses some without waiting at all."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: two that read first and wrote then would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if "cz_turn" in connection.get_execution_options() else "BEGIN")
