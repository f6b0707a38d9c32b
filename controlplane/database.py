"""Opening the control plane's database, brought to this version's tables.

The models and migrations are SQL that Postgres shares; what is SQLite's own is in this module alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from controlzero.errors import Rejected, Tampered, Unavailable

SCHEMA_REVISION = "0002"  # the newest of migrations/versions
BUSY_S = 10  # how long a change waits for another process's; a change takes milliseconds
RETRY_AFTER_S = 1.0


def open_database(home: Path) -> Engine:
    """Return an engine for `home`/control.db, its tables made or brought up to date.

    Raises `Rejected` for a database of a newer version and `Unavailable` where it cannot be opened,
    `Tampered` where the file is damaged.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"data folder {home}: {error.strerror}; expected a folder that can be made or written to") from error
    engine = create_engine(f"sqlite:///{home / 'control.db'}")
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    try:
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Give a session over one consistent state; it changes nothing."""
    with _available(), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Give a session whose changes are committed together at the end, or not at all."""
    with _available(), Session(engine.execution_options(cz_writes=True), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable(
            f"control plane database: {error.orig}; expected it readable and writable. Nothing was changed; "
            "look at the disk and at other processes on this data folder, then repeat",
            retry_after_s=RETRY_AFTER_S,
        ) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a subclass says that the statement is at fault, which is a defect here
            raise
        raise Tampered(f"control plane database: {error.orig}; expected a whole control.db, so restore it from a backup") from error


def _tune_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see `_begin_sqlite`
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: two that read first and wrote then would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("cz_writes") else "BEGIN")


def _migrate(engine: Engine) -> None:
    with _available():
        with engine.connect() as connection:
            if _revision(connection) == SCHEMA_REVISION:
                return
        with engine.execution_options(cz_writes=True).begin() as connection:
            if _revision(connection) != SCHEMA_REVISION:  # another process may have done it while we waited
                _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # here: it takes a quarter of a second, and only a new or old database needs it
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "controlplane:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Rejected(
            f"control plane database: at revision `{_revision(connection)}`, expected `{SCHEMA_REVISION}` or older; "
            "it was made by a newer version of controlzero-audit, so use that one"
        ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
