"""Another application answered at the gateway's address: what the gateway has no route for is its."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Beside(Struct, frozen=True, kw_only=True):
    """The application, and what the reference says of it: rows of its problems (status, name, title, next step) and limits."""

    app: ASGIApp
    openapi: Callable[[], dict[str, Any]]
    problems: Sequence[tuple[int, str, str, str]] = ()
    limits: Sequence[tuple[str, str, str]] = ()


def joined(own: Starlette, beside: ASGIApp) -> ASGIApp:
    """Return an application that answers its own paths, and has the one beside it answer all others."""
    own_paths = frozenset(route.path for route in own.routes if isinstance(route, Route))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (own if scope["path"] in own_paths else beside)(scope, receive, send)

    return answer
