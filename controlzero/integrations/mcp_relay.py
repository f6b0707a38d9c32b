"""What stands between an MCP client and its server: tool calls are judged line by line, everything else passes as it came."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from controlzero.errors import PolicyDeniedError
from controlzero.integrations.governor import Governor, ToolError, Underway
from controlzero.integrations.mcp import call_asked

# Errors of JSON-RPC 2.0, and one of the range it leaves to servers.
PARSE_ERROR, INVALID_REQUEST, SERVER_ENDED = -32700, -32600, -32000
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
MESSAGE_BYTES_MAX = 64 * 2**20  # of one message; a client that sends more has lost its way

Shown = Callable[[str], bool]


class Passed(Struct, frozen=True):
    """What becomes of a message: what goes on, and what goes back to who sent it; either may be nothing."""

    on: bytes = b""
    back: bytes = b""


class ServerEndedError(Exception):
    """What calls are recorded as whose server ended before it answered."""


class Relay:
    """Judges what a client says and records what its server answers, for one server; from any thread.

    `is_shown` tells which tools a list of tools keeps, None keeps all.
    """

    def __init__(self, governor: Governor, *, server: str, is_shown: Shown | None = None) -> None:
        self._governor = governor
        self._server = server
        self._is_shown = is_shown
        self._calls: dict[Any, Underway] = {}
        self._asked: dict[Any, str] = {}  # the methods of requests that wait for an answer
        self._ended: str | None = None
        self._lock = threading.Lock()

    def from_client(self, line: bytes) -> Passed:
        """Judge a message of the client."""
        try:
            message = _read(line)
        except (ValueError, RecursionError) as error:
            return Passed(back=refusal(None, PARSE_ERROR, f"cz mcp-proxy passes on only what is one clear message: {error}"))
        if not isinstance(message, list):
            return self._one(message, line)
        passed = [self._one(each, _line(each)) for each in message]
        back = b"".join(each.back for each in passed)
        if not back:
            return Passed(on=line)
        on = [json.loads(each.on) for each in passed if each.on]
        return Passed(_line(on) if on else b"", back)

    def from_server(self, line: bytes) -> bytes:
        """Record what the server's message says of a call; return what the client gets."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return line  # of no use to anybody, but not ours to judge
        is_changed = False
        for each in message if isinstance(message, list) else [message]:
            if isinstance(each, dict) and "method" not in each and "id" in each:
                is_changed |= self._answered(each)
        return _line(message) if is_changed else line

    def end(self, why: str) -> bytes:
        """Take note that the server has ended; return the answers to who still waits for one."""
        with self._lock:
            self._ended = why
            calls, self._calls = self._calls, {}
            asked, self._asked = self._asked, {}
        for underway in calls.values():
            underway.end(ServerEndedError())
        return b"".join(refusal(key[1], SERVER_ENDED, why) for key in asked)

    def _one(self, message: Any, line: bytes) -> Passed:
        if not isinstance(message, dict) or not isinstance(message.get("method", ""), str):
            return Passed(back=refusal(None, INVALID_REQUEST, "cz mcp-proxy passes on JSON-RPC messages, and this is none"))
        method, place = message.get("method"), message.get("id")
        if self._ended is not None:
            return Passed(back=refusal(place, SERVER_ENDED, self._ended) if method is not None and "id" in message else b"")
        if method == "notifications/cancelled":
            self._cancelled(message)
        elif method == "tools/call":
            denied = self._call(message, place)
            if denied is not None:
                return Passed(back=denied)
        if method is not None and "id" in message:
            with self._lock:
                self._asked[_key(place)] = method
        return Passed(on=line)

    def _call(self, message: Mapping[str, Any], place: Any) -> bytes | None:
        """Judge a call; return the answer to one that is denied or cannot be read, None where it goes ahead."""
        said = message.get("params")
        params: dict[str, Any] = said if isinstance(said, dict) else {}
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str) or not isinstance(arguments, dict | None):
            return refusal(place, INVALID_REQUEST, "tools/call: expected params with the tool's `name`, and `arguments` that are an object")
        try:
            underway = self._governor.begin(call_asked(self._server, name, arguments))
        except PolicyDeniedError as denied:
            text = f"{self._server}/{name} is denied: {denied.decision.reason}"
            result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
            if VERSION_KEY in str(params.get("_meta")):  # a protocol whose results say what they are
                result["resultType"] = "complete"
            return _line({"jsonrpc": "2.0", "id": place, "result": result}) if "id" in message else b""
        if "id" in message:
            with self._lock:
                before, self._calls[_key(place)] = self._calls.get(_key(place)), underway
            if before is not None:
                before.leave()
        return None

    def _cancelled(self, message: Mapping[str, Any]) -> None:
        params = message.get("params")
        place = params.get("requestId") if isinstance(params, dict) else None
        with self._lock:
            underway = self._calls.pop(_key(place), None)
            self._asked.pop(_key(place), None)
        if underway is not None:
            underway.leave()

    def _answered(self, answer: dict[str, Any]) -> bool:
        """Record the outcome of an answered call; say whether the answer was changed."""
        with self._lock:
            underway = self._calls.pop(_key(answer["id"]), None)
            method = self._asked.pop(_key(answer["id"]), None)
        result = answer.get("result")
        if underway is not None:
            is_failed = "error" in answer or (isinstance(result, dict) and result.get("isError") is True)
            underway.end(ToolError() if is_failed else None)
        tools = result.get("tools") if method == "tools/list" and isinstance(result, dict) else None
        if self._is_shown is None or not isinstance(tools, list):
            return False
        shown = [tool for tool in tools if not isinstance(tool, dict) or self._is_shown(str(tool.get("name")))]
        result["tools"], is_changed = shown, len(shown) < len(tools)  # type: ignore[index]  # it holds tools
        return is_changed


def lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield the lines of what `read` brings, whole and with their ends, until it brings nothing. Raises ValueError past the limit."""
    held = bytearray()
    while chunk := read():
        begin = max(0, len(held))
        held += chunk
        while (end := held.find(b"\n", begin)) >= 0:
            yield bytes(held[: end + 1])
            del held[: end + 1]
            begin = 0
        if len(held) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a message of more than {MESSAGE_BYTES_MAX:,} bytes")
    if held:
        yield bytes(held)


def _read(line: bytes) -> Any:
    """Read a message that no two readers can read differently. Raises ValueError for any other."""
    if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
        raise ValueError("a carriage return within it, which ends a message for some servers")
    message = json.loads(line.decode("utf-8"), object_pairs_hook=_distinct)
    for each in message if isinstance(message, list) else [message]:
        if isinstance(each, dict):
            _check_case(each, ENVELOPE)
            _check_case(each.get("params"), PARAMS)
    return message


ENVELOPE = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
PARAMS = frozenset({"name", "arguments"})


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that is there twice, of which one reader takes the first and another the last")
    return found


def _check_case(found: Any, keys: frozenset[str]) -> None:
    """Raise ValueError for keys that only a reader who ignores case takes for one of `keys`."""
    for key in found if isinstance(found, dict) else ():
        if key not in keys and key.casefold() in keys:
            raise ValueError(f"`{key}`, which some readers take for `{key.casefold()}`")


def _key(place: Any) -> tuple[str, Any]:
    """Return what stands for a request's id: 1, "1" and 1.0 are three to JSON-RPC, and true is none."""
    return (type(place).__name__, place if isinstance(place, str | int | float | None) else json.dumps(place))


def refusal(place: Any, code: int, reason: str) -> bytes:
    """Return the error of JSON-RPC that answers the request of the id `place`."""
    return _line({"jsonrpc": "2.0", "id": place, "error": {"code": code, "message": reason}})


def _line(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
