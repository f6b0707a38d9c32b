"""The control plane's database on a server, for control planes on several machines: what is Postgres' own.

As over SQLite, changes take turns: one at a time in a database, held by an advisory lock from the first statement to the
commit. So the outbox's numbers are in the order of the commits, and no reader is kept waiting. Publishers take turns of their
own: while brokers are away, changes need not wait for them. What is said of an error names the server and the database, and
never the URL: it may hold a password.
"""

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError

from controlzero.errors import ControlZeroError, Rejected, Unavailable

DRIVER = "postgresql+psycopg"
SCHEMES = ("postgres", "postgresql", DRIVER)
TURNS = {"change": 0x435A_0001, "publish": 0x435A_0002}  # the advisory locks that are held; ASCII "CZ", then a number
BUSY_S = 10  # how long a change waits for others'; a change takes milliseconds
IDLE_S = 60  # a transaction that says nothing for so long is the server's to end: its machine is gone, and others wait for the turn
RETRY_AFTER_S = 5.0
NOT_PERMITTED = "42501"  # SQLSTATE insufficient_privilege
# Unless the URL says otherwise: a server that is gone is known within seconds, by a connection that is being made and by one there is.
DEFAULTS = {
    "application_name": "controlzero-audit",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}


def engine_at(url: str) -> Engine:
    """Return an engine for the database at `url`. Raises `Rejected` for a URL that is none of Postgres', `Unavailable` without its driver."""
    parsed = _parsed(url)
    try:
        engine = create_engine(
            parsed.set(drivername=DRIVER, query={**DEFAULTS, **parsed.query}),
            pool_pre_ping=True,  # a server that was started again costs a connection, not a change
            hide_parameters=True,
        )
    except ImportError as missing:
        raise Unavailable(
            f"CZ_DATABASE_URL: names a Postgres, and its driver cannot be loaded ({missing}); "
            "install it with pip install 'controlzero-audit[postgres]'"
        ) from missing
    event.listen(engine, "begin", _begin)
    return engine


def told(error: DBAPIError, url: URL) -> ControlZeroError | None:
    """Return what people are told of an error at `url`; None where the statement is at fault, which is a defect here."""
    place = f"control plane database `{url.database}` on {_server(url)}"
    found = str(error.orig).partition("\n")[0]  # what follows shows the statement, or asks whether the server runs
    if isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", None) == NOT_PERMITTED:
        return Unavailable(
            f"{place}: {found}; expected a role that may make and change tables there. Grant it, or name another in CZ_DATABASE_URL"
        )
    if isinstance(error, OperationalError | InternalError | InterfaceError):
        return Unavailable(
            f"{place}: {found}; expected a Postgres that takes changes. Nothing was changed; look at the server and at "
            "CZ_DATABASE_URL, then repeat. Gateways and workers go on without it",
            retry_after_s=RETRY_AFTER_S,
        )
    return None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in SCHEMES or not parsed.database:
        raise Rejected(  # and what it is instead is not said: it may hold a password
            f"CZ_DATABASE_URL: not the URL of a Postgres database, expected {DRIVER}://USER:PASSWORD@HOST:5432/DATABASE, "
            "each part percent-encoded; a password may be left to PGPASSFILE"
        )
    return parsed


def _server(url: URL) -> str:
    host = url.host or url.query.get("host") or "its default host"
    return f"{host}:{url.port}" if url.port else str(host)


def _begin(connection: Connection) -> None:
    turn = connection.get_execution_options().get("cz_turn")
    if turn is None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return
    # Whatever the server's default is: each statement sees what was committed before our turn came.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_S}s'")
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_S}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURNS[turn]})")
