"""Opening the control plane's database, brought to this version's tables: SQLite in the data folder, or the Postgres of CZ_DATABASE_URL.

The models, the migrations and all that is asked are SQL that both share.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from controlplane import postgres, sqlite
from controlplane.settings import Settings
from controlzero.errors import Rejected

Turn = Literal["change", "publish"]  # over SQLite, which has one writer, they are one
SCHEMA_REVISION = "0005"  # the newest of migrations/versions


def is_made(home: Path) -> bool:
    """Whether a control plane was opened over the data folder before."""
    if Settings().database_url is None:
        return sqlite.path_of(home).exists()
    return (home / "keys").exists()  # the tables are elsewhere; what signs is here


def open_database(home: Path) -> Engine:
    """Return an engine for the database of the data folder `home`, its tables made or brought up to date.

    Raises `Rejected` for a database of a newer version and `Unavailable` where it cannot be opened,
    `Tampered` where the file is damaged.
    """
    url = Settings().database_url
    engine = sqlite.engine_over(home) if url is None else postgres.engine_at(url.get_secret_value())
    try:
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Give a session over one consistent state; it changes nothing."""
    with _available(engine), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine, *, turn: Turn = "change") -> Iterator[Session]:
    """Give a session whose changes are committed together at the end, or not at all. Those of one turn come one after another."""
    with _available(engine), Session(engine.execution_options(cz_turn=turn), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def _available(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        told = sqlite.told(error) if engine.dialect.name == "sqlite" else postgres.told(error, engine.url)
        if told is None:
            raise
        raise told from error


def _migrate(engine: Engine) -> None:
    with _available(engine):
        with engine.connect() as connection:
            if _revision(connection) == SCHEMA_REVISION:
                return
        with engine.execution_options(cz_turn="change").begin() as connection:
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
