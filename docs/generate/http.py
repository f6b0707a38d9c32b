"""The tables of docs/reference/http-api.md: the control plane's routes, limits, problems and metrics, from the code that answers."""

import re
from collections.abc import Callable, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest

from controlplane.api.app import api_app, openapi_of, problem_rows
from controlplane.api.bounds import LIMITS as BOUNDS
from controlplane.api.opening import Opened
from controlzero.errors import Unavailable
from docs.generate.markdown import code, table
from ingest.metrics import Counts
from ingest.problems import KINDS
from ingest.reference import LIMITS
from processors.heartbeat import Heartbeat, prometheus


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {"routes": _routes, "limits": _limits, "problems": _problems, "metrics": _metrics}


def _routes() -> str:
    paths = openapi_of(api_app(Opened(_nothing)))["paths"]
    rows = [
        (code(f"{method.upper()} {path}"), route["summary"], code(route["x-scope"]))
        for path, methods in paths.items()
        for method, route in methods.items()
        if path != "/v1/session"
    ]
    return table(("route", "for", "scope"), rows)


def _limits() -> str:
    return table(("What", "At most", "Past it"), (*LIMITS, *BOUNDS))


def _problems() -> str:
    told = {slug: (kind.status, kind.title, kind.next_step) for slug, kind in KINDS.items()}
    merged = {**{slug: (status, title, next_step) for status, slug, title, next_step in problem_rows()}, **told}
    rows = sorted((status, code(slug), title, next_step) for slug, (status, title, next_step) in merged.items())
    return table(("Status", "Problem", "What happened", "Next step"), [(str(status), *rest) for status, *rest in rows])


def _metrics() -> str:
    registry = CollectorRegistry()
    registry.register(Counts())
    shown = generate_latest(registry).decode() + prometheus(Heartbeat(pid=0, at=0, started_at=0))
    return table(
        ("metric", "what it counts"), [(code(name), about) for name, about in re.findall(r"^# HELP (\S+) (.+)$", shown, re.MULTILINE)]
    )


@contextmanager
def _nothing():  # type: ignore[no-untyped-def]
    raise Unavailable("the reference needs no control plane")
    yield
