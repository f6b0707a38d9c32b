"""The tables of docs/reference/http-api.md: routes, limits, problems and metrics, from the code that answers."""

import re
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial

from prometheus_client import CollectorRegistry, generate_latest

from controlplane import model
from controlplane.api.app import api_app, openapi_of, problem_rows
from controlplane.api.bounds import LIMITS as BOUNDS
from controlplane.api.opening import Opened
from controlplane.tools import DECLARATION_BYTES_MAX
from controlplane.trials import CALLS_MAX
from controlzero.errors import Unavailable
from controlzero.session import SECRETS_MAX, TOOLS_MAX
from docs.generate.markdown import code, table
from ingest.metrics import Counts
from ingest.problems import KINDS
from ingest.reference import LIMITS
from processors.heartbeat import Heartbeat, prometheus

KEPT = (
    ("policies of one bundle", f"{model.POLICIES_MAX}"),
    ("candidates of a project", f"{model.CANDIDATES_MAX}"),
    ("orders in force in a project", f"{model.ORDERS_MAX}, each with a reason of {model.REASON_CHARS_MAX} characters"),
    ("tools of a project", f"{TOOLS_MAX}, each declared in {DECLARATION_BYTES_MAX // 2**10} KiB"),
    ("secrets of a project", f"{SECRETS_MAX}, each of {model.SECRET_BYTES_MAX // 2**10} KiB"),
    ("environments of a project", f"{model.ENVIRONMENTS_MAX}"),
    ("members of an organisation", f"{model.MEMBERS_MAX:,}"),
    ("projects of one key", f"{model.GRANTS_MAX}"),
    ("time a rotated key stays good", f"{model.GRACE_S_MAX // 86_400} days"),
    ("days a bundle is good for", f"{model.BUNDLE_DAYS_MAX}"),
    ("days a kind of record is kept, unless for ever", f"{model.RETENTION_DAYS_MAX:,}"),
    ("calls of a dry run", f"{CALLS_MAX}"),
    ("a change's `why`", f"{model.WHY_CHARS_MAX:,} characters"),
)


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {
        "routes": _routes,
        "limits": _limits,
        "kept": partial(table, ("what", "at most"), KEPT),
        "problems": _problems,
        "metrics": _metrics,
    }


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
