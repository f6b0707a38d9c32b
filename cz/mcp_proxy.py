"""`cz mcp-proxy` at work: between a client on standard input and output and a server that is a process or an address."""

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol

from controlzero.errors import Unavailable
from controlzero.integrations.mcp_relay import SERVER_ENDED, Relay, lines, refusal
from topics.ending import asked_by_signals

CHUNK_BYTES = 64 * 1024
GRACE_S = 2.0  # for a server to end on its own once its input is closed, and again after SIGTERM
STDIN, STDOUT = 0, 1


class Server(Protocol):
    """The MCP server behind the proxy."""

    def send(self, line: bytes) -> None:
        """Hand a message on. Raises OSError where nobody takes it."""
        ...

    def messages(self) -> Iterator[bytes]:
        """Yield what the server says, until it ends."""
        ...

    def close(self) -> int:
        """End it; return the exit code that says how it ended by itself, 0 where it did not."""
        ...


def serve(relay: Relay, server: Server) -> int:
    """Pass messages until the client leaves or SIGTERM comes; return the exit code. A server that ends does not end it."""
    ending = asked_by_signals()
    writing = threading.Lock()

    def say(answer: bytes) -> None:
        if answer:
            try:
                with writing:
                    _write(answer)
            except OSError:  # the client has left
                ending.ask()

    def from_client() -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                for line in lines(lambda: os.read(STDIN, CHUNK_BYTES)):
                    passed = relay.from_client(line)
                    say(passed.back)
                    if passed.on:
                        with contextlib.suppress(OSError):  # the other thread sees its end, and answers for it
                            server.send(passed.on)
        finally:  # whatever ended it: a client that nobody listens to is not left waiting
            ending.ask()

    def from_server() -> None:
        try:
            for line in server.messages():
                say(relay.from_server(line))
        finally:
            say(relay.end("the server behind cz mcp-proxy has ended"))

    answering = threading.Thread(target=from_server, daemon=True)
    answering.start()
    threading.Thread(target=from_client, daemon=True).start()
    ending.wait()
    code = server.close()
    answering.join(GRACE_S)
    return code


class ProcessServer:
    """A server that is a command: it speaks on its standard input and output, and says on standard error what it likes."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - the operator's own
        except OSError as error:
            raise Unavailable(f"cz mcp-proxy: `{command[0]}` cannot be started: {error.strerror}") from None
        self._input: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # pipes, both
        self._output: IO[bytes] = self._process.stdout  # type: ignore[assignment]

    def send(self, line: bytes) -> None:
        """Write a message to its input."""
        self._input.write(line)
        self._input.flush()

    def messages(self) -> Iterator[bytes]:
        """Yield the lines of its output."""
        yield from lines(lambda: os.read(self._output.fileno(), CHUNK_BYTES))

    def close(self) -> int:
        """Close its input, then end it and what it started."""
        ended = self._process.poll()
        if ended is not None:
            return ended if ended >= 0 else 128 - ended
        with contextlib.suppress(OSError):
            self._input.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                self._process.wait(GRACE_S)
                break
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
        self._process.wait()
        return 0


class HttpServer:
    """A server at an address, over streamable HTTP."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._version: str | None = None
        self._waiting: dict[str, Any] = {}  # ids of requests that were posted and not answered, by their JSON text
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, line: bytes) -> None:
        """Post a message."""
        self._call(line)

    def messages(self) -> Iterator[bytes]:
        """Yield what comes back, whichever way."""
        while (line := self._said.get()) is not None:
            yield line

    def close(self) -> int:
        """End the session."""
        self._call(None)
        self._thread.join(2 * GRACE_S)
        return 0

    def _call(self, line: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._outgoing.put_nowait, line)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._talk_on())
        finally:
            self._said.put(None)

    async def _talk_on(self) -> None:
        """Talk until the end; where the connection breaks, answer who waits, and connect anew for the next message."""
        while True:
            try:
                return await self._talk()
            except Exception as error:  # noqa: BLE001 - the connection's edge: whatever broke it, the client is told
                why = f"the connection to {self._url} broke: {_innermost(error)}"
                print(f"cz mcp-proxy: {why}", file=sys.stderr)
                for place in self._waiting.values():
                    self._said.put(refusal(place, SERVER_ENDED, why))
                self._waiting.clear()

    async def _talk(self) -> None:
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        async with (
            create_mcp_http_client(headers=self._headers or None) as http,
            streamable_http_client(self._url, http_client=http) as (incoming, outgoing),
        ):
            listening = asyncio.create_task(self._listen(incoming))
            try:
                while (line := await self._outgoing.get()) is not None:
                    await self._post(outgoing, line)
            finally:
                listening.cancel()

    async def _listen(self, incoming: Any) -> None:
        async for message in incoming:
            if isinstance(message, Exception):
                print(f"cz mcp-proxy: {self._url}: {type(message).__name__}: {message}", file=sys.stderr)
                continue
            plain = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
            self._waiting.pop(json.dumps(getattr(message.message, "id", None)), None)
            result = getattr(message.message, "result", None)
            if isinstance(result, dict) and isinstance(version := result.get("protocolVersion"), str):
                self._version = version
            self._said.put(plain)

    async def _post(self, outgoing: Any, line: bytes) -> None:
        message = json.loads(line)
        for each in message if isinstance(message, list) else [message]:
            try:
                posted = self._posted(each)
            except ValueError as error:
                print(f"cz mcp-proxy: a message that is none of JSON-RPC was not passed on: {error}", file=sys.stderr)
                continue
            if isinstance(each, dict) and "method" in each and "id" in each:
                self._waiting[json.dumps(each["id"])] = each["id"]
            await outgoing.send(posted)

    def _posted(self, plain: Any) -> Any:
        """Return a message as the transport takes it, with the headers that say of it what a server may ask for."""
        import mcp_types as types
        from mcp.shared.inbound import (
            MCP_METHOD_HEADER,
            MCP_NAME_HEADER,
            MCP_PROTOCOL_VERSION_HEADER,
            NAME_BEARING_METHODS,
            encode_header_value,
        )
        from mcp.shared.message import ClientMessageMetadata, SessionMessage

        message = types.jsonrpc_message_adapter.validate_python(plain, by_name=False)
        params = getattr(message, "params", None) or {}
        stamped = (params.get("_meta") or {}).get(types.PROTOCOL_VERSION_META_KEY)
        headers: dict[str, str] = {}
        if stamped or self._version:
            headers[MCP_PROTOCOL_VERSION_HEADER] = str(stamped or self._version)
        if stamped and (method := getattr(message, "method", None)):
            headers[MCP_METHOD_HEADER] = method
            named = params.get(NAME_BEARING_METHODS.get(method, ""))
            if isinstance(named, str):
                headers[MCP_NAME_HEADER] = encode_header_value(named)
        return SessionMessage(message, ClientMessageMetadata(headers=headers))


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _write(answer: bytes) -> None:
    while answer:
        answer = answer[os.write(STDOUT, answer) :]
