"""Who may speak to the pages: a browser that shows them, and no page of another site.

The pages need no login on this machine, so a page of another site in the same browser must neither open a connection to them nor
show them in a frame, where a click meant for it would make a key. Streamlit would also ask a host outside for this machine's
address before it refuses such a connection.
"""

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
    """An application that is asked by nobody but the pages themselves, and shown in no frame of others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan" or is_from_here(Headers(scope=scope)):
            await self._app(scope, receive, _framed(send))
        else:
            refused = WebSocketClose(code=1008) if scope["type"] == "websocket" else PlainTextResponse("Asked from another site.", 403)
            await refused(scope, receive, send)


def is_from_here(headers: Headers) -> bool:
    """Say whether a request comes from a page of this server, or from no page at all."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).hostname == urlsplit(f"//{headers.get('host', '')}").hostname


def _framed(send: Send) -> Send:
    async def framed(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SENT)
        await send(message)

    return framed
