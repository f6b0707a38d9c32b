"""What tools are sent and what they answer: limits, addresses of methods, secrets put in their places."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from control_zero.errors import ToolCallRejected, ToolNotFound
from controlzero.errors import Rejected

ANSWER_BYTES_MAX = 16 * 1024 * 1024  # a model reads a thousandth of it; more would fill the agent's memory
TOLD_CHARS_MAX = 500  # of what a tool says of its error

_PLACEHOLDER = re.compile(r"\$\{secret:([^}]*)\}")

GetSecret = Callable[[str], str]


def filled(values: Mapping[str, str], get_secret: GetSecret, *, tool: str) -> dict[str, str]:
    """Return values with each `${secret:NAME}` replaced by that secret. Raises `ToolCallRejected` for one that is not there."""
    return {name: _PLACEHOLDER.sub(partial(_secret, get_secret, tool, name), value) for name, value in values.items()}


def _secret(get_secret: GetSecret, tool: str, place: str, found: re.Match[str]) -> str:
    try:
        return get_secret(found[1])
    except Rejected as error:
        raise ToolCallRejected(f"tool `{tool}`: its `{place}` takes a secret: {error}. The key needs the scope secrets:read") from error


def encoded(tool: str, arguments: Mapping[str, Any]) -> bytes:
    """Return arguments as JSON. Raises `ToolCallRejected` for what JSON does not have."""
    try:
        return msgspec.json.encode(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolCallRejected(
            f"tool `{tool}`: its arguments are no JSON: {error}; expected texts, numbers, true, false, null, lists and objects"
        ) from error


def method_url(tool: str, url: str, method: str) -> str:
    """Return the address of a method. Raises `ToolNotFound` for a name that would lead elsewhere."""
    if method in ("", ".", ".."):
        raise ToolNotFound(f"tool `{tool}`: `{method}` is no method's name")
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(method, safe='')}").geturl()


def shown(url: str) -> str:
    """Return a URL as it may be told: without user, password, query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def cut(text: str) -> str:
    """Return the start of what a tool said, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= TOLD_CHARS_MAX else text[: TOLD_CHARS_MAX - 1] + "…"
