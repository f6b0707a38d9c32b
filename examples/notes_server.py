"""An MCP server with two tools, for the example of the proxy: it is what a proxy stands in front of."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("notes", log_level="ERROR")
NOTES = {"monday": "call the auditor"}


@server.tool()
def read_note(day: str) -> str:
    """Read the note of a day."""
    return NOTES.get(day, "nothing")


@server.tool()
def erase_note(day: str) -> str:
    """Erase the note of a day."""
    return NOTES.pop(day, "nothing")


if __name__ == "__main__":
    server.run("stdio")
