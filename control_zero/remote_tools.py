"""The tools of a session config, all of them run by one event loop in a thread of its own: for threads and asyncio alike."""

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from control_zero.answers import GetSecret
from control_zero.http_tool import HttpEndpoint
from control_zero.mcp_tool import McpServer
from controlzero.errors import ControlZeroError
from controlzero.session import HttpTool, Tool

CLOSE_S_MAX = 10.0


class RemoteTool(Protocol):
    """A tool that is reached over HTTP or is another process."""

    async def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call a method of it."""
        ...

    async def close(self) -> None:
        """End what it holds open."""
        ...


class RemoteTools:
    """Calls the tools of a session config. A forked child reaches them anew, and leaves its parent's alone."""

    def __init__(self, get_secret: GetSecret, inherited: Mapping[str, str], without_secrets: Callable[[str], str]) -> None:
        self.by_name: Mapping[str, Tool] = {}
        self._without_secrets = without_secrets
        self._get_secret = get_secret
        self._inherited = inherited
        self._beginning = threading.Lock()
        self._running: _Running | None = None
        self._is_closed = False

    def offer(self, tools: Iterable[Tool]) -> None:
        """Let these tools be called, and no others."""
        self.by_name = {tool.name: tool for tool in tools}

    def call(self, tool: str, method: str, arguments: Mapping[str, Any]) -> "Future[Any]":
        """Call a tool of the session config; its answer is the future's."""
        running = self._begun()
        return running.run(self._call(running.reached, tool, method, arguments))

    def run(self, work: Awaitable[Any]) -> "Future[Any]":
        """Bring asynchronous work to its end on the tools' loop."""
        return self._begun().run(_awaited(work))

    def close(self) -> None:
        """End every process and connection; who still waits for an answer is told that it was cancelled."""
        with self._beginning:
            self._is_closed = True
            running, self._running = self._running, None
        if running is not None:
            running.close()

    def _begun(self) -> "_Running":
        with self._beginning:
            if self._is_closed:
                raise RuntimeError("the client is closed, and its tools with it")
            if self._running is None or self._running.pid != os.getpid():
                self._running = _Running(self._running)
            return self._running

    async def _call(self, reached: dict[str, RemoteTool], tool: str, method: str, arguments: Mapping[str, Any]) -> Any:
        if tool not in reached:
            reached[tool] = self._reach(self.by_name[tool])
        try:
            return await reached[tool].call(method, arguments)
        except ControlZeroError as error:  # a tool may say what it was sent, and so may what refused to send it
            if not any(self._without_secrets(str(each)) != str(each) for each in _chain(error)):
                raise
            error.args = (self._without_secrets(str(error)),)
            error.__cause__ = error.__context__ = None
            raise error from None

    def _reach(self, tool: Tool) -> RemoteTool:
        if isinstance(tool, HttpTool):
            return HttpEndpoint(tool, self._get_secret)
        return McpServer(tool, self._get_secret, self._inherited)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it, as a traceback would show them."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Running:
    """A loop in its thread, and the tools reached by it."""

    def __init__(self, parents: "_Running | None") -> None:
        self.parents = parents  # kept: to let go of a parent's loop would close what the parent uses
        self.pid = os.getpid()
        self.reached: dict[str, RemoteTool] = {}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="controlzero-tools", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a server that does not notice the end of its input would outlive its agent

    def run(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Begin work on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self) -> None:
        """End what was reached, and the thread; in a forked child they are the parent's."""
        atexit.unregister(self.close)
        if self.pid != os.getpid():
            return
        self.run(self._close_all()).result(CLOSE_S_MAX)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_S_MAX)
        self.loop.close()

    async def _close_all(self) -> None:
        await asyncio.gather(*(tool.close() for tool in self.reached.values()))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
