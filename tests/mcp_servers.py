"""A real MCP server for tests: `python -m tests.mcp_servers stdio` or `… http PORT`. Its tools write down what they did."""

import os
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("files", log_level="CRITICAL")


@server.tool()
def read_file(path: str) -> str:
    """Read a file."""
    return f"the text of {path}"


@server.tool()
def write_file(path: str, content: str) -> str:
    """Write a file."""
    Path(path).write_text(content)
    return "written"


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("it did not work")


@server.tool()
def die() -> str:
    """End the server's process in the middle of the call."""
    os._exit(3)


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
