"""`wrap_mcp`: every tool called through an MCP client is judged before the call leaves, and its outcome recorded."""

from collections.abc import Mapping
from typing import Any, TypeVar

from controlzero.errors import Rejected
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, library

CALL = "mcp.tool:call"

Session = TypeVar("Session")


def wrap_mcp(session: Session, cz: SyncGoverned | AsyncGoverned, *, server: str, agent_id: str | None = None) -> Session:
    """Return a view of an MCP client whose tool calls are governed; `isinstance` and every method stay as they were.

    Takes an `mcp.ClientSession` or `mcp.Client`, and the name that policies give the server: a call is `mcp.tool:call` on
    `mcp://<server>/<tool>`. Both share one connection. Calls raise `PolicyDeniedError` before they leave where the policy in
    force denies; `unwrap` gives the client back. Raises `Rejected` for another object, and where mcp is not installed.
    """
    mcp = library("mcp", extra="mcp", wrapper="wrap_mcp")
    governor = Governor(cz, agent_id, wrapper="wrap_mcp")
    given: Any = unwrap(session)  # wrapped twice is wrapped once, by the later word
    if isinstance(given, mcp.ClientSession):
        return _view(given, _session_class(type(given)), (governor, server, given))  # type: ignore[no-any-return]  # of the class of what was given
    if isinstance(given, mcp.Client):
        return _view(given, _client_class(type(given)), (governor, server, given))  # type: ignore[no-any-return]  # as above
    raise Rejected(f"wrap_mcp: {type(session).__name__} is no MCP client; expected mcp.ClientSession or mcp.Client")


def unwrap(session: Any) -> Any:
    """Return the MCP client that was wrapped; one that is not wrapped is returned as it is."""
    wrapping = getattr(session, "controlzero", None)
    return session if wrapping is None else wrapping[2]


def call_asked(server: str, tool: str, arguments: Mapping[str, Any] | None) -> Asked:
    """Return what a call of a server's tool asks for."""
    return Asked(CALL, f"mcp://{server}/{tool}", arguments)


def _view(given: Any, kind: type, wrapping: tuple[Governor, str, Any]) -> Any:
    """Return an object of another class over the same state: what one does, the other sees."""
    view: Any = object.__new__(kind)
    view.__dict__ = given.__dict__
    view.controlzero = wrapping  # a slot of the classes below, beside the shared state
    return view


def _session_class(base: Any) -> type:
    async def send_request(self: Any, request: Any, *args: Any, **how: Any) -> Any:
        if getattr(request, "method", None) != "tools/call":
            return await base.send_request(self, request, *args, **how)
        governor, server, _ = self.controlzero
        underway = await governor.begin_async(call_asked(server, request.params.name, request.params.arguments))
        try:
            result = await base.send_request(self, request, *args, **how)
        except BaseException as error:
            underway.end(error)
            raise
        underway.end(ToolError() if getattr(result, "is_error", False) else None)
        return result

    return _made(base, {"send_request": send_request})


def _client_class(base: Any) -> type:
    def session(self: Any) -> Any:
        governor, server, _ = self.controlzero
        given = base.session.fget(self)
        return _view(given, _session_class(type(given)), (governor, server, given))

    return _made(base, {"session": property(session)})


def _made(base: type, attributes: dict[str, Any]) -> type:
    if base not in _MADE:
        named = {"__slots__": ("controlzero",), "__module__": base.__module__, "__qualname__": base.__qualname__}
        _MADE[base] = type(base.__name__, (base,), {**named, **attributes})
    return _MADE[base]


_MADE: dict[type, type] = {}


class ToolError(Exception):
    """What a tool's own word that it failed is recorded as."""
