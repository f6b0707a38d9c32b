"""Facts about the caller that hold for every call within a block: a request's user, a session, its tags."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Facts = Mapping[str, object]

_FACTS: ContextVar[Facts | None] = ContextVar("controlzero_facts", default=None)
facts = _FACTS.get


@contextmanager
def context(**given: object) -> Iterator[None]:
    """Add facts (`user_id`, `user_group`, `session_id`, `agent_id`, `tags`, `trace_id`, any other) to all calls in the block.

    Blocks nest; a call's own `context` says it more exactly. It follows asyncio tasks, and not new threads.
    """
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
