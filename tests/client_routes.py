"""Every route of an API client, found by walking the installed library: a route that a new version brings is found too."""

import inspect
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from controlzero import PolicyDeniedError
from tests.http_servers import Answering, serving

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


class Everything(Answering):
    """Answers every request alike."""

    server: "EverythingServer"

    def do_POST(self) -> None:
        self.body()
        self.server.arrived.append((self.command, self.path.partition("?")[0]))
        self.answer_json({"object": "list", "data": []})

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST


class EverythingServer(ThreadingHTTPServer):
    """`arrived` holds the method and the path of each request."""

    daemon_threads = True
    arrived: list[tuple[str, str]]

    def handle_error(self, request: object, client_address: object) -> None: ...  # a client that gave up is none


@pytest.fixture
def server() -> Iterator[EverythingServer]:
    server = EverythingServer(("127.0.0.1", 0), Everything)
    server.arrived = []
    with serving(server):
        yield server


def tried(name: str, call: Callable[[], Any], server: EverythingServer) -> str:
    """Call, and say what came of it."""
    before = len(server.arrived)
    try:
        call()
    except PolicyDeniedError:
        return "denied" if len(server.arrived) == before else "denied late"
    except Exception as error:  # noqa: BLE001 - the answer fits no route, and some say so
        return "arrived" if len(server.arrived) > before else f"never sent: {error!r}"
    return "arrived" if len(server.arrived) > before else "never sent"
