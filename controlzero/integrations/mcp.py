"""`wrap_mcp`: every tool called through an MCP client is judged before the call leaves, and its outcome recorded."""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import structs

from controlzero.errors import Rejected
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, ToolError, library
from controlzero.integrations.views import Wrapping, unwrap, view, wrapping_of

CALL = "mcp.tool:call"

Session = TypeVar("Session")

__all__ = ["CALL", "call_asked", "unwrap", "wrap_mcp"]


def wrap_mcp(session: Session, cz: SyncGoverned | AsyncGoverned, *, server: str, agent_id: str | None = None) -> Session:
    """Return a view of an MCP client whose tool calls are governed; `isinstance` and every method stay as they were.

    Takes an `mcp.ClientSession` or `mcp.Client`, and the name that policies give the server: a call is `mcp.tool:call` on
    `mcp://<server>/<tool>`. Both share one connection. Calls raise `PolicyDeniedError` before they leave where the policy in
    force denies; `unwrap` gives the client back. Raises `Rejected` for another object, and where mcp is not installed.
    """
    mcp = library("mcp", extra="mcp", wrapper="wrap_mcp")
    given: Any = unwrap(session)  # wrapped twice is wrapped once, by the later word
    if not isinstance(given, mcp.ClientSession | mcp.Client):
        raise Rejected(f"wrap_mcp: {type(session).__name__} is no MCP client; expected mcp.ClientSession or mcp.Client")
    wrapping = Wrapping(given, Governor(cz, agent_id, wrapper="wrap_mcp"), server)
    return _view(given, wrapping)  # type: ignore[no-any-return]  # of the class of what was given


def call_asked(server: str, tool: str, arguments: Mapping[str, Any] | None) -> Asked:
    """Return what a call of a server's tool asks for."""
    return Asked(CALL, f"mcp://{server}/{tool}", arguments)


def _view(given: Any, wrapping: Wrapping) -> Any:
    base = type(given)
    if not hasattr(base, "send_request"):  # an `mcp.Client`, which does everything through its session
        return view(given, {"session": property(lambda self: _session(self, base))}, wrapping)

    async def send_request(self: Any, request: Any, *args: Any, **how: Any) -> Any:
        if getattr(request, "method", None) != "tools/call":
            return await base.send_request(self, request, *args, **how)
        wrapping = wrapping_of(self)
        asked = call_asked(wrapping.name, request.params.name, request.params.arguments)
        with await wrapping.governor.begin_async(asked) as underway:
            result = await base.send_request(self, request, *args, **how)
        underway.end(ToolError() if getattr(result, "is_error", False) else None)
        return result

    return view(given, {"send_request": send_request}, wrapping)


def _session(client: Any, base: Any) -> Any:
    session = base.session.fget(client)
    return _view(session, structs.replace(wrapping_of(client), given=session))
