"""A session with one MCP server, owned by one task from its beginning to its end; needs the `mcp` package."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
from mcp.client import Client, Transport
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from control_zero.answers import ANSWER_BYTES_MAX
from control_zero.mcp_process import McpProcess
from controlzero.recorder.link import is_loopback
from controlzero.version import __version__

CONNECT_S_MAX = 10.0
CLOSE_S_MAX = 8.0  # a process is asked three times, for 2 s each


class McpSession:
    """A session from its first message to its end."""

    def __init__(self, transport: Transport, process: McpProcess | None) -> None:
        self.client = Client(transport, client_info=Implementation(name="controlzero", version=__version__), cache=None)
        self.cause: BaseException | None = None
        self._process = process
        self._closing = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def by_command(cls, command: Sequence[str], environment: Mapping[str, str]) -> Self:
        """Return a session with a server that is a process of its own."""
        process = McpProcess()
        return cls(process.transport(command, environment), process)

    @classmethod
    def by_url(cls, url: str, headers: Mapping[str, str]) -> Self:
        """Return a session with a server behind HTTP."""
        return cls(_over_http(url, headers), None)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can be asked of it."""
        return self._task is None or self._task.done() or self._closing.is_set() or (self._process is not None and self._process.has_ended)

    @property
    def was_reached(self) -> bool:
        """Whether what was asked last may have reached the server."""
        return not isinstance(self.cause, httpx2.ConnectError)

    @property
    def problem(self) -> str:
        """Why the session had to be ended, where that was our doing."""
        return self._process.problem if self._process is not None else ""

    @property
    def said(self) -> str:
        """The end of what the server's process wrote to its standard error."""
        return self._process.said if self._process is not None else ""

    async def open(self) -> None:
        """Begin it. Raises whatever keeps it from beginning."""
        self._task = asyncio.create_task(self._live())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            if not self._ready.is_set():
                self._closing.set()
                self._task.cancel()
        if self.cause is not None:
            raise self.cause

    async def close(self) -> None:
        """End it, and whatever belongs to it."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_S_MAX)

    async def _live(self) -> None:
        try:
            async with self.client:
                self._ready.set()
                await self._over()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the edge: what ended it is told to whoever asks
            self.cause = _first(error)

    async def _over(self) -> None:
        waits = [asyncio.create_task(self._closing.wait())]
        if self._process is not None:
            waits.append(asyncio.create_task(self._process.ended.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


def _first(error: BaseException) -> BaseException:
    """Return the first cause in a group: a task group wraps the one thing that went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def _over_http(url: str, headers: Mapping[str, str]) -> Any:
    async with (
        httpx2.AsyncClient(
            headers=dict(headers),
            timeout=httpx2.Timeout(CONNECT_S_MAX, read=None),  # the call as a whole has a limit
            trust_env=not is_loopback(url),
            event_hooks={"response": [_bounded]},
        ) as http,
        streamable_http_client(url, http_client=http, max_sse_event_size=ANSWER_BYTES_MAX) as streams,
    ):
        yield streams


async def _bounded(response: httpx2.Response) -> None:
    """Bound an answer that comes in one piece; one that comes as events is bounded event by event."""
    if "text/event-stream" not in response.headers.get("Content-Type", ""):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error where it grows too large."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> Any:
        taken = 0
        async for chunk in self._stream:
            taken += len(chunk)
            if taken > ANSWER_BYTES_MAX:
                raise httpx2.StreamError(f"an answer of more than {ANSWER_BYTES_MAX:,} bytes; ask it for less, page by page")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
