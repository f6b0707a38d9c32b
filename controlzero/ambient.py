"""Facts about the caller that hold for every call within a block: a request's user, a session, its tags.

They live in a context variable, which asyncio hands to tasks by itself. Threads start with an empty context (Python
3.14 can be told otherwise), so the first block teaches `threading.Thread` and `ThreadPoolExecutor` to carry this one
variable over, and nothing else of the host's. That stays: to take it back could undo what another library wrapped since.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Facts = Mapping[str, object]

POOL_THREADS = "multiprocessing.dummy"  # those of a `multiprocessing.pool.ThreadPool` outlive the block they were started in

NO_SPAN = (None, None)

_FACTS: ContextVar[Facts | None] = ContextVar("controlzero_facts", default=None)
facts = _FACTS.get


@contextmanager
def context(**given: object) -> Iterator[None]:
    """Add facts (`agent_id`, `user_id`, `user_group`, `session_id`, `tags`, `trace_id`, any other) to all calls in the block.

    Blocks nest; a call's own `context` says it more exactly. It follows asyncio tasks, and the threads and
    `ThreadPoolExecutor` tasks started inside the block; not other processes, and no `multiprocessing.pool.ThreadPool`.
    """
    _teach_threads()
    token = _FACTS.set(merged(_FACTS.get(), given))
    try:
        yield
    finally:
        _FACTS.reset(token)


def merged(outer: Facts | None, inner: Facts | None) -> Facts | None:
    """Return the facts of both, the inner one's first; tags are merged one by one."""
    if not outer:
        return inner
    if not inner:
        return outer
    outer_tags, inner_tags = outer.get("tags"), inner.get("tags")
    if isinstance(outer_tags, Mapping) and isinstance(inner_tags, Mapping):
        return {**outer, **inner, "tags": {**outer_tags, **inner_tags}}
    return {**outer, **inner}


def running_span() -> tuple[str | None, str | None]:
    """Return the trace id and the span id of the OpenTelemetry span that runs here, where the host has OpenTelemetry at all."""
    around = sys.modules.get("opentelemetry.context")
    if around is None or not around.get_current():  # where nothing is around a call no span is: a third of what asking for one takes
        return NO_SPAN
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return NO_SPAN
    span = trace.get_current_span().get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else NO_SPAN


_TEACHING = threading.Lock()
_is_taught = False


def _teach_threads() -> None:
    global _is_taught
    if _is_taught:
        return
    from concurrent.futures import ThreadPoolExecutor

    with _TEACHING:
        if not _is_taught:
            threading.Thread.start = _starting(threading.Thread.start)  # type: ignore[assignment, method-assign]
            ThreadPoolExecutor.submit = _submitting(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
            _is_taught = True


def _starting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(start)
    def start_with_facts(self: threading.Thread) -> None:
        given = _FACTS.get()
        if given is not None and type(self).__module__ != POOL_THREADS:
            run = self.run

            def run_with_facts(thread: threading.Thread) -> None:
                _FACTS.set(given)
                del thread.run  # its own again: no cycle is left behind
                run()

            self.run = MethodType(run_with_facts, self)  # type: ignore[method-assign]  # bound, as others who wrap it expect
        start(self)

    return start_with_facts


def _submitting(submit: Callable[..., "Future[Any]"]) -> Callable[..., "Future[Any]"]:
    @wraps(submit)
    def submit_with_facts(self: "ThreadPoolExecutor", fn: Callable[..., Any], /, *args: Any, **named: Any) -> "Future[Any]":
        given = _FACTS.get()
        if given is None:
            return submit(self, fn, *args, **named)
        token = _FACTS.set(None)  # a thread the pool starts now outlives the block: the task carries the facts, not the thread
        try:
            return submit(self, _run_with, given, fn, *args, **named)
        finally:
            _FACTS.reset(token)

    return submit_with_facts


def _run_with(given: Facts, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
    token = _FACTS.set(given)
    try:
        return fn(*args, **named)
    finally:
        _FACTS.reset(token)
