"""Who may speak to the pages: a browser that shows them, and no page of another site, whatever name it has them under.

The pages need no login on this machine, so a page of another site in the same browser must neither open a connection to them nor
show them in a frame, where a click meant for it would make a key; nor may a name of somebody else's that was made to mean this
machine (DNS rebinding). Streamlit would also ask a host outside for this machine's address before it refuses such a connection.
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

SENT: Final = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # an address names a project
}


class Doorway:
    """An application that is asked by nobody but the pages themselves, under its `names`, and shown in no frame of others."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        headers = Headers(scope=scope)
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif not is_ours(host_of(headers), self._names):
            said = "The pages are not served under this name. Where a proxy leads to them under it, name it in CZ_DASHBOARDS_NAMES."
            await _refusal(scope, PlainTextResponse(said, 421))(scope, receive, send)
        elif not is_from_here(headers):
            await _refusal(scope, PlainTextResponse("Asked from another site.", 403))(scope, receive, send)
        else:
            await self._app(scope, receive, _framed(send))


def is_from_here(headers: Headers) -> bool:
    """Say whether a request comes from a page of this server, or from no page at all."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).hostname == host_of(headers)


def is_ours(host: str | None, names: Collection[str]) -> bool:
    """Say whether a request names this server: by an address, as this machine, or by one of `names`."""
    if host is None or host == "localhost" or host in names:
        return True
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def host_of(headers: Headers) -> str | None:
    """Return the host a request names, without its port; None where it names none."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return ""


def _refusal(scope: Scope, answer: PlainTextResponse) -> ASGIApp:
    return WebSocketClose(code=1008) if scope["type"] == "websocket" else answer


def _framed(send: Send) -> Send:
    async def framed(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SENT)
        await send(message)

    return framed
