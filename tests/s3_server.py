"""A real S3 server for tests: versitygw over a folder, that can be killed and started again. It has conditional puts, as S3 does."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.ports import free_port, until_listening

MODULE, VERSION = "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"
BINARY = Path(os.environ.get("CZ_VERSITYGW", Path.home() / ".cache" / "controlzero-tests" / f"versitygw-{VERSION}" / "versitygw"))
BUCKET = "ledgers"
BUILDS_S_MAX = 900.0


def go() -> str | None:
    """Return a Go: the machine's, or the one that comes as a package."""
    beside = Path(sys.executable).with_name("go")
    return shutil.which("go") or (str(beside) if beside.exists() else None)


def is_present() -> bool:
    """Whether the server can be had here: it is built, or Go can build it."""
    return BINARY.exists() or go() is not None


@cache
def binary() -> Path:
    """Return the server, built once."""
    if not BINARY.exists():
        part = BINARY.parent.with_name(f"{BINARY.parent.name}.{os.getpid()}.part")
        subprocess.run(
            [str(go()), "install", f"{MODULE}@{VERSION}"],
            check=True,
            capture_output=True,
            timeout=BUILDS_S_MAX,
            env={**os.environ, "GOBIN": str(part), "GOFLAGS": "-p=2"},
        )
        if BINARY.exists():  # another run was faster
            shutil.rmtree(part)
        else:
            part.rename(BINARY.parent)
    return BINARY


class S3Server:
    """A server with one bucket over `folder`. It answers at the same place after it was killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / BUCKET).mkdir(parents=True)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> tuple[str, int]:
        """Return where it answers."""
        return "127.0.0.1", self._port

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a client where it is and who we are."""
        return {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "only-for-tests",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {**os.environ, "ROOT_ACCESS_KEY": "tester", "ROOT_SECRET_KEY": "only-for-tests"}
        command = [str(binary()), "--port", f"127.0.0.1:{self._port}", "--quiet", "posix", str(self._folder)]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_listening(self._port, self._process)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
