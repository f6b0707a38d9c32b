"""What each route takes: who asks, and the control plane that is asked."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from controlplane.api.authentication import Caller, caller_of
from controlplane.api.opening import Opened
from controlplane.service import ControlPlane


class Asking:
    """What the application has for all requests."""

    def __init__(self, opened: Opened, *, clock: Callable[[], int]) -> None:
        self.opened = opened
        self.clock = clock
        self.used_at: dict[str, int] = {}  # key id: when it was last used


def _asking(request: Request) -> Asking:
    asking = request.app.state.asking
    assert isinstance(asking, Asking)  # noqa: S101 - the application was made with one
    return asking


def _plane(asking: Annotated[Asking, Depends(_asking)]) -> ControlPlane:
    return asking.opened.plane()


def _caller(request: Request, asking: Annotated[Asking, Depends(_asking)], plane: Annotated[ControlPlane, Depends(_plane)]) -> Caller:
    caller = caller_of(plane, request.headers.get("authorization"), clock=asking.clock)
    asking.used_at[caller.key.key_id] = asking.clock()
    return caller


Plane = Annotated[ControlPlane, Depends(_plane)]
Asked = Annotated[Caller, Depends(_caller)]
