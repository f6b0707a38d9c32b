"""Real MCP servers as processes, for tests: `tests/mcp_tool_server.py` over HTTP, and how it is told over standard input and output."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).with_name("mcp_tool_server.py")
COMMAND = (sys.executable, str(SERVER))
START_S_MAX = 60.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class McpOverHttp:
    """A server that answers, and the process it is."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def restart(self) -> None:
        """Kill it and start another at the same address."""
        self.process.kill()
        self.process.wait(START_S_MAX)
        self.process = _started(self.port)


@contextmanager
def mcp_over_http() -> Iterator[McpOverHttp]:
    """Run a server over HTTP until the block ends."""
    port = free_port()
    server = McpOverHttp(port, _started(port))
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait(START_S_MAX)


def _started(port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([*COMMAND, str(port)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at and process.poll() is None:
        with closing(socket.socket()) as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError("the MCP server did not start")


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def kill_and_wait(pid: int) -> None:
    """Kill a process that another thread waits for, and return once it is gone: with several threads it is dead before that."""
    os.kill(pid, signal.SIGKILL)
    give_up_at = time.monotonic() + START_S_MAX
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
