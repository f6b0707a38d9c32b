"""Clients whose every route goes through their own `request`: OpenAI's and Anthropic's, which one generator makes.

The hook stands on a copy of the client, on the instance: its class, its methods and the client that was given stay as they
were. One decision per logical call, its retries included.
"""

import posixpath
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from controlzero.integrations.governor import Asked, Governor, Underway, asked_by, edge
from controlzero.integrations.prices import Spent
from controlzero.integrations.streams import Streaming
from controlzero.integrations.usage import NOTHING_SAID, spent_of, spent_of_body

Read = Callable[[Any, Any, str], Asked | None]  # of a client, a request's options and path: what it asks, None where it runs no model
MARK = "controlzero"  # where a wrapped client keeps what it is wrapped in


class Wrapped:
    """What a wrapped client keeps of its wrapping."""

    def __init__(self, governor: Governor, plain: Callable[[], Any]) -> None:
        self.governor = governor
        self.plain = plain


def unwrap(client: Any) -> Any:
    """Return the client that was wrapped; one that is not wrapped is returned as it is."""
    wrapped = getattr(client, MARK, None)
    return wrapped.plain() if isinstance(wrapped, Wrapped) else client


def hook(
    client: Any, governor: Governor, read: Read, *, is_async: bool, plain: Callable[[], Any], dress: Callable[[Any], None] = lambda _: None
) -> Any:
    """Make a client ask before it requests, and its copies too; `dress` adds what one library needs beside."""
    kind = type(client)
    request, copy = client.request, client.copy

    def copied(**options: Any) -> Any:
        return hook(copy(**options), governor, read, is_async=is_async, plain=lambda: _undressed(copy(**options), kind), dress=dress)

    client.request = (_asking_async if is_async else _asking)(client, request, governor, read)
    client.copy = client.with_options = copied
    setattr(client, MARK, Wrapped(governor, plain))
    dress(client)
    return client


def _undressed(client: Any, kind: type) -> Any:
    client.__class__ = kind
    return client


def route_pattern(*paths: str) -> re.Pattern[str]:
    """Return what finds these paths at the end of a URL's, in any case, as some servers do; `{}` stands for an id."""
    return re.compile("(?:" + "|".join(re.escape(path).replace(r"\{\}", "[^/]+") for path in paths) + ")$", re.IGNORECASE)


def _asked(client: Any, options: Any, read: Read) -> Asked | None:
    if str(options.method).lower() != "post":
        return None
    path = posixpath.normpath(unquote(urlsplit(str(options.url)).path))
    return asked_by(lambda: read(client, options, path), "llm.generate")


def _asking(client: Any, request: Callable[..., Any], governor: Governor, read: Read) -> Callable[..., Any]:
    def asking(cast_to: Any, options: Any, **how: Any) -> Any:
        asked = _asked(client, options, read)
        if asked is None:
            return request(cast_to, options, **how)
        with governor.begin(asked) as underway:
            answer = request(cast_to, options, **how)
        _watch(answer, underway)
        return answer

    return asking


def _asking_async(client: Any, request: Callable[..., Any], governor: Governor, read: Read) -> Callable[..., Any]:
    async def asking(cast_to: Any, options: Any, **how: Any) -> Any:
        asked = _asked(client, options, read)
        if asked is None:
            return await request(cast_to, options, **how)
        with await governor.begin_async(asked) as underway:
            answer = await request(cast_to, options, **how)
        _watch(answer, underway)
        return answer

    return asking


def _watch(answer: Any, underway: Underway) -> None:
    """Record the outcome with the answer, or, where its body is still to come, when that ends."""
    if not edge(lambda whole: _watches(whole, underway), answer, otherwise=False):
        underway.end(None, edge(_spent, answer, NOTHING_SAID))


def _watches(answer: Any, underway: Underway) -> bool:
    response = _response(answer)
    if getattr(response, "is_closed", True):
        return False
    Streaming(underway).attach(answer, response)
    return True


def _spent(answer: Any) -> Spent:
    spent, response = spent_of(answer), _response(answer)
    return spent if spent != NOTHING_SAID or response is None else spent_of_body(response.content)


def _response(answer: Any) -> Any:
    return getattr(answer, "http_response", None) or getattr(answer, "response", None)
