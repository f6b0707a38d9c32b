"""The routes beside the hot one: the bundle for agents, health, metrics, and the reference a browser shows."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from controlzero.errors import ControlZeroError
from controlzero.orders import Order, orders_text
from controlzero.secrets_on_disk import key_list, master_key, project_key
from controlzero.trust import KeyList, key_list_lines
from controlzero.version import __version__
from ingest.authentication import project_of
from ingest.beside import Beside
from ingest.delivery import is_name
from ingest.limits import WAIT_S_MAX
from ingest.logside import LogSide
from ingest.metrics import Counts
from ingest.problems import Refusal
from ingest.reference import CZPOLICY, bundle_responses, openapi_of, reference_page
from topics.control import ControlState, orders_of
from topics.problems import PROBLEM_JSON

# The reference is one page without scripts: nothing on it is fetched from anywhere.
PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}

_logger = structlog.get_logger("ingest.rest")


def rest_app(log_side: LogSide, counts: Counts, *, home: Path, clock: Callable[[], int], beside: Beside | None = None) -> FastAPI:
    """Return the application that answers all but `POST /v1/decisions`; its reference is that of the one `beside` it as well."""
    app = FastAPI(title="Control Zero gateway", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    registry = CollectorRegistry()
    registry.register(counts)

    @app.get("/v1/bundle", summary="The signed policy bundle of a project", responses=bundle_responses(), response_class=Response)
    async def bundle(
        request: Request,
        project_id: Annotated[str | None, Query(description="Default: the key's only project.")] = None,
        wait_s: Annotated[float, Query(ge=0, le=WAIT_S_MAX, description="Wait up to this long for a change before answering 304.")] = 0,
    ) -> Response:
        if project_id is not None and not is_name(project_id.encode()):
            raise Refusal("bad-parameter", "`project_id` is not a project's name.")
        key = await log_side.sender(request.headers.get("authorization", "").encode(), "bundle:read", at=clock())
        project_id = project_of(log_side.state, key, project_id)
        return await _bundle_or_change(log_side, home, project_id, request.headers.get("if-none-match", ""), wait_s)

    @app.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", summary="Would a delivery be taken now? 503 and why, if not")
    async def readyz() -> JSONResponse:
        trouble = log_side.trouble
        return JSONResponse({"status": "not ready", "why": trouble}, 503) if trouble else JSONResponse({"status": "ready"})

    @app.get("/metrics", summary="Counts for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(openapi_of(app, beside))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference_page(openapi_of(app, beside), beside), headers=PAGE_HEADERS)

    _answer_problems(app, counts)
    return app


async def _bundle_or_change(log_side: LogSide, home: Path, project_id: str, if_none_match: str, wait_s: float) -> Response:
    """Answer with the bundle; where the client has it already, after a change of it, of the orders or the mode, or after `wait_s`."""
    clock = asyncio.get_running_loop().time
    until_s = clock() + wait_s
    answer = first = _bundle(log_side.state, home, project_id, if_none_match)
    while answer.status_code == 304 and answer.headers["CZ-Mode"] == first.headers["CZ-Mode"] and not log_side.is_stopping:
        if clock() >= until_s or not await log_side.following.change(until_s - clock()):
            break
        answer = _bundle(log_side.state, home, project_id, if_none_match)
    return answer


def _bundle(state: ControlState, home: Path, project_id: str, if_none_match: str) -> Response:
    """Return the project's bundle as it is known now. Raises `Refusal` (404) where there is none."""
    project = state.projects.get(project_id)
    if project is None:
        raise Refusal("no-policy-yet", f"Nothing is known of project `{project_id}` yet.")
    headers = {"CZ-Mode": project.mode, "CZ-Project-Key": base64.b64encode(project_key(master_key(home), project_id)).decode()}
    record = state.bundles.get(project.bundle_digest or "")
    if record is None:
        raise Refusal("no-policy-yet", f"Project `{project_id}` has no policy.", headers=headers)
    etag = f'"{record.digest}"'
    orders = [Order(order.order_id, order.reason, order.agent_id) for order in orders_of(state, project_id)]
    if orders:
        headers["CZ-Orders"] = orders_text(orders)
        etag = f'"{record.digest}.{hashlib.sha256(headers["CZ-Orders"].encode()).hexdigest()[:16]}"'
    listed = key_list(home)
    headers |= {"ETag": etag, "Cache-Control": "no-cache", "CZ-Signing-Key": ", ".join(key_list_lines(KeyList(listed.keys)))}
    if listed.endorsements:
        headers["CZ-Signing-Key-Endorsements"] = ", ".join(key_list_lines(KeyList(endorsements=listed.endorsements)))
    asked = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if etag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(record.czpolicy, media_type=CZPOLICY, headers=headers)


def _answer_problems(app: FastAPI, counts: Counts) -> None:
    def answered(refusal: Refusal) -> Response:
        counts.problems[refusal.slug] += 1
        if refusal.status == 401:
            counts.unauthenticated += 1
        return Response(refusal.body, refusal.status, headers=refusal.headers, media_type=PROBLEM_JSON)

    async def refused(_: Request, refusal: Refusal) -> Response:
        return answered(refusal)

    async def unrouted(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            return answered(Refusal("method-not-allowed", f"`{request.url.path}` takes no {request.method}.", headers=error.headers))
        return answered(Refusal("not-found", "Nothing is served here."))

    async def invalid(_: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"`{problem['loc'][-1]}`: {problem['msg']}" for problem in error.errors())
        return answered(Refusal("bad-parameter", f"{wrong}."))

    async def failed(request: Request, error: Exception) -> Response:
        _logger.error("A request could not be answered.", path=request.url.path, why=f"{type(error).__name__}: {error}")
        return answered(Refusal("internal", "The answer could not be made."))

    handlers = {Refusal: refused, HTTPException: unrouted, RequestValidationError: invalid, ControlZeroError: failed}
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]
