"""What each route takes: who asks for what, and how the answer is given once however often it is asked for."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response

from controlplane.api.answering import Answer, answered_once, encoded
from controlplane.api.authentication import Caller, caller_of, check_project, check_scope
from controlplane.api.opening import Opened
from controlplane.api.problems import Refusal
from controlplane.service import ControlPlane
from topics.control import Scope

PAGE_MAX = 200
PAGE_DEFAULT = 50
CURSOR_CHARS_MAX = 1_000
HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # what may be half of a surrogate pair
Place = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a cursor counts by, as far as databases count

Item = TypeVar("Item")


class Asking:
    """What the application has for all requests."""

    def __init__(self, opened: Opened, *, clock: Callable[[], int]) -> None:
        self.opened = opened
        self.clock = clock
        self.used_at: dict[str, int] = {}  # key id: when it was last used

    def admit(self, authorization: str | None) -> None:
        """Let in who has a key, before a body is taken in. Raises `Refusal` (401), `Unavailable`."""
        caller_of(self.opened.plane(), authorization, clock=self.clock)


class Call:
    """One request of a key: within its scope and its projects, or refused before anything is looked at."""

    def __init__(self, request: Request, body: bytes, caller: Caller, plane: ControlPlane, *, clock: Callable[[], int]) -> None:
        self.caller = caller
        self.plane = plane
        self._request = request
        self._body = body
        self._clock = clock

    @property
    def actor(self) -> str:
        """Who asks, as the control log names them."""
        return self.caller.actor

    def answer(self, value: Any, *, status: int = 200) -> Response:
        """Answer with a record."""
        return _response(encoded(value, status))

    def change(self, change: Callable[[], Any], *, status: int = 200) -> Response:
        """Make a change, once under its `Idempotency-Key`, and answer with what came of it."""
        name = self._request.headers.get("idempotency-key")
        if name is None:
            return _response(encoded(change(), status))
        asked = (self._request.method, self._request.url.path, self._request.url.query, self._body)
        return _response(answered_once(self.plane, self.caller, name, asked, lambda: encoded(change(), status), at=self._clock()))


class Page:
    """Which part of a list is asked for: so many, after the one the cursor names."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")] = PAGE_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX, description="`next_cursor` of the page before.")] = None,
    ) -> None:
        self.limit = limit
        self._cursor = cursor

    def after(self, kind: type[Item]) -> Item | None:
        """Return what the last page ended with. Raises `Refusal` (422) for a cursor that no page had."""
        if self._cursor is None:
            return None
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(self._cursor.encode()), type=kind)
        except (ValueError, msgspec.DecodeError):
            raise Refusal("bad-parameter", "`cursor` is not the `next_cursor` of a page.") from None

    def of(self, items: Sequence[Item], name: Callable[[Item], str]) -> dict[str, Any]:
        """Return the page of a list that is short enough to be had whole; the cursor is the name of its last item."""
        after = self.after(str)
        start = 0 if after is None else next((place for place, item in enumerate(items, 1) if name(item) == after), len(items))
        return self.made(items[start : start + self.limit + 1], name)

    def made(self, items: Sequence[Item], name: Callable[[Item], object]) -> dict[str, Any]:
        """Return the page of what was found, where one more than its limit was asked for."""
        shown = items[: self.limit]
        more = len(items) > self.limit
        last = base64.urlsafe_b64encode(msgspec.json.encode(name(shown[-1]))).decode() if more else None
        return {"items": shown, "next_cursor": last}


async def _asking(request: Request) -> Asking:  # what waits for nothing takes no thread
    asking = request.app.state.asking
    assert isinstance(asking, Asking)  # noqa: S101 - the application was made with one
    return asking


async def _body(request: Request) -> bytes:
    body = await request.body()
    if HALF.search(body):
        _check_is_text(body)
    return body


def _check_is_text(body: bytes) -> None:
    """Raise `Refusal` (422) for JSON with half of a surrogate pair in it: neither a database nor an answer can hold it."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refusal("bad-parameter", "The body holds half of a surrogate pair, expected Unicode text.") from None
    except (ValueError, RecursionError):
        return  # no JSON that can be read, which is said of it anyhow


def _caller(request: Request, asking: Annotated[Asking, Depends(_asking)]) -> Caller:
    caller = caller_of(asking.opened.plane(), request.headers.get("authorization"), clock=asking.clock)
    asking.used_at[caller.key.key_id] = asking.clock()
    return caller


class Allowed:
    """What gives a route its `Call`: by a key with the scope and, where the path names a project, for that project."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(
        self,
        request: Request,
        body: Annotated[bytes, Depends(_body)],
        asking: Annotated[Asking, Depends(_asking)],
        caller: Annotated[Caller, Depends(_caller)],
    ) -> Call:
        """Return the call. Raises `Refusal` (403) beyond the key's scopes and projects."""
        check_scope(caller, self.scope)
        project_id = request.path_params.get("project_id")
        if project_id is not None:
            check_project(caller, project_id)
        return Call(request, body, caller, asking.opened.plane(), clock=asking.clock)


def allowed(scope: Scope) -> Any:
    """Return a route's dependency on a key with that scope."""
    return Depends(Allowed(scope))


def _response(answer: Answer) -> Response:
    headers = {"Cache-Control": "no-store", **({"Idempotency-Replayed": "true"} if answer.is_repeated else {})}
    return Response(answer.body, answer.status, headers=headers, media_type="application/json")


ProjectId = Annotated[str, Path(max_length=64, description="The project.")]
Why = Annotated[str | None, Query(max_length=2_000, description="Why, for the control log.")]
Paged = Annotated[Page, Depends()]
