"""How a server of the product says no over HTTP (RFC 9457): each has a table of its own, and says it alike."""

import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

PROBLEM_JSON = "application/problem+json"
DOCS_PATH = "/docs"
CREDENTIALS_WANTED = 'Bearer realm="controlzero"'

Slug = TypeVar("Slug", bound=str)


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of problem: its status, its title and the next step."""

    status: int
    title: str
    next_step: str


class Problem(Exception, Generic[Slug]):  # noqa: N818 - an answer, not a failure of ours
    """A request answered with a problem of `kinds`. `detail` is this occurrence's sentence; it never holds what was sent."""

    kinds: Mapping[Slug, Kind]

    def __init__(
        self,
        slug: Slug,
        detail: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self._more = more or {}
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", CREDENTIALS_WANTED)
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kinds[self.slug].status

    @property
    def body(self) -> bytes:
        """The problem as JSON."""
        kind = self.kinds[self.slug]
        detail = f"{self.detail}{'' if self.detail.endswith(('.', '?', '!')) else '.'} {kind.next_step}"
        said = {"type": f"{DOCS_PATH}#{self.slug}", "title": kind.title, "status": kind.status, "detail": detail}
        return msgspec.json.encode({**said, **self._more})
