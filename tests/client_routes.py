"""Every route of an API client, found by walking the installed library: a route that a new version brings is found too."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

VIEWS = ("with_raw_response", "with_streaming_response")


def methods(client: Any, resource_base: type, name: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the methods of all resources of a client, by their names from the client down."""
    for attribute in sorted(dir(type(client))):
        if attribute.startswith("_") or attribute in VIEWS:
            continue
        try:
            value = getattr(client, attribute)
        except Exception:  # noqa: BLE001 - a property that asks for what is not there leads to no route
            continue
        path = f"{name}.{attribute}".lstrip(".")
        if isinstance(value, resource_base):
            yield from methods(value, resource_base, path)
        elif name and inspect.ismethod(value):
            yield path, value


def filled(method: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return arguments for what a method cannot do without: what is known by name, else a text; and the model, where it takes one."""
    named = {
        parameter.name: parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    return {
        name: known.get(name, "x")
        for name, parameter in named.items()
        if parameter.default is parameter.empty or name in ("model", "session")
    }
