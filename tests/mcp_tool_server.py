"""An MCP server for tests: `python tests/mcp_tool_server.py` speaks over standard input and output, with a port over HTTP."""

import os
import sys
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("for tests", log_level="CRITICAL")


@server.tool()
def read_file(path: str) -> str:
    return f"what {path} holds"


@server.tool()
def count(words: list[str]) -> int:
    return len(words)


@server.tool()
def describe(name: str) -> dict[str, object]:
    return {"name": name, "size": 3}


@server.tool()
def result_of(value: int) -> dict[str, int]:
    return {"result": value}


@server.tool()
def several() -> list[str]:
    return ["one", "two"]


@server.tool()
def pid() -> int:
    return os.getpid()


@server.tool()
def environment(name: str) -> str:
    return os.environ.get(name, "")


@server.tool()
def fail(why: str) -> str:
    raise ToolError(why)


@server.tool()
def die() -> str:
    print("out of memory, says the test", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def wait(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


@server.tool()
def large(megabytes: int) -> str:
    return "x" * (megabytes << 20)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
