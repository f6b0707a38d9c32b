"""`init()` and `ControlZero`: the client as older guides make it."""

from typing import Any, ClassVar

from controlzero.client import Client


def init(**given: Any) -> Client:
    """Return a client; the arguments are those of `Client`. `await async_init()` returns an `AsyncClient`."""
    return Client(**given)


class ControlZero(Client):
    """A `Client` in two steps: the arguments are those of `Client`, and nothing is obtained before `initialize()` or `with`."""

    _opens_later: ClassVar[bool] = True
