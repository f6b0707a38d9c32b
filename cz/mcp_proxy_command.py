"""`cz mcp-proxy`: an MCP server whose every tool call is judged and recorded, in front of the real one."""

import sys
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from controlzero.client import Client
from controlzero.errors import Rejected
from controlzero.integrations.governor import Governor
from controlzero.integrations.mcp import call_asked
from controlzero.integrations.mcp_relay import Relay
from cz.mcp_proxy import HttpServer, ProcessServer, serve


def mcp_proxy(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, help="After `--`: the command that runs the server")],
    server: Annotated[str, Parameter(name=["--server", "-s"], help="The server's name in policies: mcp://NAME/TOOL")],
    url: Annotated[str | None, Parameter(help="The address of a server over streamable HTTP, instead of a command")] = None,
    header: Annotated[list[str] | None, Parameter(negative="", help="`Name: value`, sent to that address; may be repeated")] = None,
    agent: Annotated[str | None, Parameter(name=["--agent", "-a"], help="Who calls. Default: $CONTROLZERO_AGENT_ID")] = None,
    hide_denied: Annotated[
        bool, Parameter(negative="", help="Leave out of the list of tools what a call without arguments is denied")
    ] = False,
) -> None:
    """Stand between an MCP client and a server: each tools/call is judged and recorded, everything else passes as it came.

    Configure it in the client in place of the server. CONTROLZERO_API_KEY and CONTROLZERO_BASE_URL, or CONTROLZERO_POLICY_FILE, say
    what to judge by. A call that is denied is answered with an error of the tool, which the model reads.

    Example:  cz mcp-proxy --server filesystem -- npx -y @modelcontextprotocol/server-filesystem /data

    Example:  cz mcp-proxy --server search --url http://127.0.0.1:9000/mcp --header "Authorization: Bearer $TOKEN"
    """
    if bool(command) == (url is not None):
        raise Rejected("cz mcp-proxy: say what is behind it: a command after `--`, or --url, and not both")
    if "/" in server or not server:
        raise Rejected(f"cz mcp-proxy: server `{server}`: expected a name without `/`, as in mcp://NAME/TOOL")
    headers = _headers(header or [])
    if url is not None and find_spec("mcp") is None:
        raise Rejected("cz mcp-proxy: `mcp` is not installed; expected the extra: pip install 'controlzero-audit[mcp]'")
    with Client(agent_id=agent) as cz:
        governor = Governor(cz, None, wrapper="cz mcp-proxy")
        shown = (lambda tool: governor.foresees(call_asked(server, tool, None))) if hide_denied else None
        relay = Relay(governor, server=server, is_shown=shown)
        code = serve(relay, HttpServer(url, headers) if url is not None else ProcessServer(command))
    sys.exit(code)


def _headers(given: list[str]) -> dict[str, str]:
    pairs = [line.partition(":") for line in given]
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        raise Rejected(f"cz mcp-proxy: header `{wrong[0]}`: expected `Name: value`")
    return {name.strip(): value.strip() for name, _, value in pairs}
