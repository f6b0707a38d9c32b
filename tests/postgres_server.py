"""A real PostgreSQL for tests: a server of its own over a folder of its own, that can be killed and started again over its data."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from tests.ports import free_port
from tests.waiting import until_up

STARTS_S_MAX = 60.0
SERVER_USER = "postgres"  # whom the server runs as where the tests run as root, which it refuses
SETTINGS = (
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "16MB"),
    ("max_connections", "60"),
    ("fsync", "off"),  # it is killed here, and the machine is not
    ("max_wal_size", "128MB"),
)


@cache
def programs() -> Path | None:
    """Return the folder of the server's programs: on the path, or where Debian keeps them."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return kept[-1].parent if kept else None


def is_present() -> bool:
    """Whether a server can be started here: its programs, and as root a user for it."""
    if programs() is None:
        return False
    try:
        _identity()
    except LookupError:
        return False
    return True


class Server:
    """A server. `port` is where it answers, also after it was ended and started again; its superuser has a password."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cz-postgres-"))  # not under pytest's, which another user may not enter
        self.password = f"{secrets.token_urlsafe(9)}/@:%"  # one that a URL must encode
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        secret = self.folder / "password"
        secret.write_text(self.password)
        for path in (self.folder, secret):
            os.chown(path, *_identity())
        made = ("--username=cz", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--no-locale", "--no-sync")
        self._run("initdb", *made, "-D", str(self.folder / "data"))

    def start(self) -> "Server":
        """Start it, and return when it takes connections."""
        options = [word for name, value in SETTINGS for word in ("-c", f"{name}={value}")]
        command = [str(_program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port), *options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **_as_server())
        asked = [str(_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        until_up(
            self._process,
            lambda: subprocess.run(asked, check=False).returncode == 0,
            lambda: (self.folder / "server.log").read_text()[-3000:],
        )
        return self

    def end(self, number: int = signal.SIGINT) -> None:
        """End it: sessions are cut; with SIGQUIT as if it had crashed."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def url(self, database: str) -> str:
        """Return what CZ_DATABASE_URL says of a database of it."""
        return f"postgresql+psycopg://cz:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def ask(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement as the superuser and return what it answers, as text."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "cz", "-d", database, "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        environment = {**os.environ, "PGPASSWORD": self.password}
        command = [str(_program("psql")), *options, "-c", statement]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"cz_{secrets.token_hex(6)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(_program(name)), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=STARTS_S_MAX, cwd=self.folder, **_as_server())


@contextmanager
def running() -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    server = Server()
    try:
        yield server.start()
    finally:
        server.end(signal.SIGQUIT)  # what it holds is thrown away: it need not be written first
        shutil.rmtree(server.folder)


def _program(name: str) -> Path:
    folder = programs()
    assert folder is not None
    return folder / name


def _identity() -> tuple[int, int]:
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    import pwd

    try:
        user = pwd.getpwnam(SERVER_USER)
    except KeyError as missing:
        raise LookupError(SERVER_USER) from missing
    return user.pw_uid, user.pw_gid


def _as_server() -> dict[str, object]:
    user, group = _identity()
    return {} if os.getuid() != 0 else {"user": user, "group": group, "extra_groups": []}
