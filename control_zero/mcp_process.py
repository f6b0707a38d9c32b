"""The process of an MCP server: started with its environment, spoken to line by line, and ended with what it started."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from control_zero.answers import ANSWER_BYTES_MAX

Received = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Received], MemoryObjectSendStream[SessionMessage]]

LEAVE_S_MAX = 2.0  # for a server whose input has ended, as the protocol wants it; then it is asked by signal, then killed
LAST_WORDS_S_MAX = 0.5  # they are there once it has ended, unless what it started holds the line
SAID_BYTES_MAX = 4_096  # the end of what a server writes to its standard error


class McpProcess:
    """What is known of a server's process: whether it still answers, why not, and what it said last."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.problem = ""
        self._pid: int | None = None
        self._said = bytearray()

    @property
    def has_ended(self) -> bool:
        """Whether it answers no more, also where its end was not noticed yet."""
        return self.ended.is_set() or (self._pid is not None and _has_exited(self._pid))

    @property
    def said(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._said.decode("utf-8", "replace")

    @asynccontextmanager
    async def transport(self, command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Streams]:
        """Start the process and give the streams of its messages; end it afterwards. Raises OSError where it cannot start."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            limit=ANSWER_BYTES_MAX,
            start_new_session=True,  # an interrupt of the agent is not the server's
        )
        self._pid = process.pid
        sending, incoming = anyio.create_memory_object_stream[Received](0)
        outgoing, taking = anyio.create_memory_object_stream[SessionMessage](0)
        listening = asyncio.create_task(self._listen(_piped(process.stderr)))
        tasks = [
            listening,
            asyncio.create_task(self._read(_piped(process.stdout), sending)),
            asyncio.create_task(self._write(_piped(process.stdin), taking)),
        ]
        try:
            yield incoming, outgoing
        finally:
            for stream in (incoming, outgoing):
                stream.close()
            await _end(process)
            await asyncio.wait({listening}, timeout=LAST_WORDS_S_MAX)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (sending, taking):
                each.close()

    async def _read(self, stdout: asyncio.StreamReader, sending: MemoryObjectSendStream[Received]) -> None:
        """Pass on each line as a message until there is none, or one longer than may be held."""
        try:
            async with sending:
                while line := await stdout.readline():
                    await sending.send(_message(line))
        except ValueError:
            self.problem = f"answered more than {ANSWER_BYTES_MAX:,} bytes; ask it for less, page by page"
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more
        finally:
            self.ended.set()

    async def _write(self, stdin: asyncio.StreamWriter, taking: MemoryObjectReceiveStream[SessionMessage]) -> None:
        with suppress(ConnectionError):  # its end is what `_read` tells
            async with taking:
                async for message in taking:
                    stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await stdin.drain()

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while said := await stderr.read(SAID_BYTES_MAX):
            self._said = (self._said + said)[-SAID_BYTES_MAX:]


Stream = TypeVar("Stream")


def _piped(stream: Stream | None) -> Stream:
    """Return a stream of a process that was started with pipes: there is one."""
    if stream is None:
        raise RuntimeError("the process of an MCP server was started without pipes")
    return stream


def _message(line: bytes) -> Received:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


def _has_exited(pid: int) -> bool:
    """Say whether a child of ours has ended, and leave its status to who waits for it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # who waited for it has its status already
        return True


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a server as the protocol wants it: its input ends, then the signals, to what it started too."""
    _piped(process.stdin).close()
    for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
        if signal_number is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal_number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), LEAVE_S_MAX)
            break
