"""The control plane's application: its routes put together, its errors answered as problems."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from controlplane.api import keys, orders, policies, projects, session, tools
from controlplane.api.asking import Allowed, Asking
from controlplane.api.opening import Opened
from controlplane.api.problems import KINDS, Refusal
from controlplane.api.schemas import described
from controlplane.model import NotFound
from controlzero.errors import ControlZeroError, PolicyError, Rejected, Unavailable
from controlzero.version import __version__
from topics.control import Scope
from topics.problems import PROBLEM_JSON

RETRY_AFTER_S = 5.0
ROUTERS = (session.routes, projects.routes, policies.routes, keys.routes, tools.routes, orders.routes)

_logger = structlog.get_logger("controlplane.api")


def api_app(opened: Opened, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> FastAPI:
    """Return the application over a control plane that may be away. `clock` gives microseconds since 1970 UTC."""
    app = FastAPI(title="Control Zero control plane", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.asking = Asking(opened, clock=clock)
    for routes in ROUTERS:
        app.include_router(routes)
    handlers = {
        Refusal: _refused,
        ControlZeroError: _failed,
        HTTPException: _unrouted,
        RequestValidationError: _invalid,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]
    return app


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """Return the application's OpenAPI description."""
    return described(app, {_operation(route): scope for route in _routes() if (scope := _scope_of(route)) is not None})


def _routes() -> Iterator[APIRoute]:
    return (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))


def _operation(route: APIRoute) -> tuple[str, str]:
    method = next(iter(route.methods or ()))
    return method.lower(), route.path_format


def _scope_of(route: APIRoute) -> Scope | None:
    return next((needs.call.scope for needs in route.dependant.dependencies if isinstance(needs.call, Allowed)), None)


def problem_rows() -> list[tuple[int, str, str, str]]:
    """Return the problems for the reference: status, name, what happened, next step."""
    return [(kind.status, slug, kind.title, kind.next_step) for slug, kind in KINDS.items()]


def _answered(refusal: Refusal) -> Response:
    return Response(refusal.body, refusal.status, headers={**refusal.headers, "Cache-Control": "no-store"}, media_type=PROBLEM_JSON)


async def _refused(_: Request, refusal: Refusal) -> Response:
    return _answered(refusal)


async def _failed(request: Request, error: ControlZeroError) -> Response:
    if isinstance(error, PolicyError):
        return _answered(Refusal("policy-refused", str(error), more={"problems": error.problems}))
    if isinstance(error, NotFound):
        return _answered(Refusal("not-found", str(error)))
    if isinstance(error, Rejected):
        return _answered(Refusal("refused", str(error)))
    if isinstance(error, Unavailable):
        return _answered(Refusal("control-unavailable", str(error), retry_after_s=error.retry_after_s or RETRY_AFTER_S))
    _logger.error("The control plane's data is not what it was.", path=request.url.path, why=f"{type(error).__name__}: {error}")
    return _answered(Refusal("control-damaged", "Something is not what it was."))


async def _broken(request: Request, error: Exception) -> Response:
    _logger.error("A request could not be answered.", path=request.url.path, why=type(error).__name__)
    return _answered(Refusal("internal", "The answer could not be made."))


async def _unrouted(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = {"Allow": ", ".join(_methods_of(request))}
        return _answered(Refusal("method-not-allowed", f"`{request.url.path}` takes no {request.method}.", headers=allowed))
    if error.status_code == 400:  # the body could not be read at all
        return _answered(Refusal("bad-parameter", "The body is not JSON that can be read."))
    return _answered(Refusal("not-found", "Nothing is served here."))


def _methods_of(request: Request) -> list[str]:
    """Return what the path takes, by all routes: the router names the first one's method alone."""
    there = (route for route in _routes() if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in there for method in route.methods or ()})


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    return _answered(Refusal("bad-parameter", f"{'; '.join(map(_wrong, error.errors()))}."))


def _wrong(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "json_invalid":
        return f"the body is not JSON: {problem['ctx']['error']} at character {problem['loc'][1]}"
    return f"`{'.'.join(map(str, problem['loc'][1:])) or problem['loc'][0]}`: {problem['msg']}"
