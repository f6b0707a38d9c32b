"""Real MCP servers as processes, for tests: `tests/mcp_tool_server.py` over HTTP, and how it is told over standard input and output."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port, until_listening
from tests.waiting import until

SERVER = Path(__file__).with_name("mcp_tool_server.py")
COMMAND = (sys.executable, str(SERVER))
START_S_MAX = 60.0


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
    until_listening(port, process)
    return process


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def kill_and_wait(pid: int) -> None:
    """Kill a process that another thread waits for, and return once it is gone: with several threads it is dead before that."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of {pid}")
