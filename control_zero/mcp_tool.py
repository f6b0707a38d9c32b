"""MCP servers as tools: a session with each, opened when it is first asked, and again after its end."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from control_zero.answers import GetSecret, cut, encoded, filled
from control_zero.errors import ToolCallRejected, ToolError, ToolUnavailable
from controlzero.session import McpCommandTool, McpUrlTool

if TYPE_CHECKING:
    from control_zero.mcp_session import McpSession

SESSION_LOST = "Session terminated"  # what the mcp package makes of a 404: the server began anew and did nothing
CLOSED = ("Connection closed", "SSE stream")  # how it begins to tell that no answer will come


class McpServer:
    """One MCP server as a tool. Its process or connection begins with the first call, and anew with the first after its end."""

    def __init__(self, tool: McpCommandTool | McpUrlTool, get_secret: GetSecret, inherited: Mapping[str, str]) -> None:
        self._tool = tool
        self._get_secret = get_secret
        self._inherited = inherited
        self._opening = asyncio.Lock()
        self._session: McpSession | None = None

    async def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call one of the server's tools. Raises `ToolUnavailable` where no answer comes, `ToolError` for one that is an error."""
        plain = msgspec.json.decode(encoded(self._tool.name, arguments))
        is_open = False
        try:
            async with asyncio.timeout(self._tool.timeout_s):
                session = await self._opened()
                is_open = True
                try:
                    return await self._answer(session, method, plain)
                except _SessionLostError:
                    return await self._answer(await self._opened(), method, plain)
        except TimeoutError as error:
            what = "gave no answer" if is_open else "did not start"
            raise ToolUnavailable(f"{self._named} {what} within {self._tool.timeout_s:g} s{self._last_words}", was_asked=is_open) from error

    async def close(self) -> None:
        """End the session, and the process where there is one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _named(self) -> str:
        return f"tool `{self._tool.name}`: the MCP server"

    @property
    def _last_words(self) -> str:
        said = cut(self._session.said) if self._session is not None else ""
        return f"; it said: {said}" if said else ""

    async def _opened(self) -> "McpSession":
        async with self._opening:
            if self._session is None or self._session.has_ended:
                await self.close()
                self._session = self._begun()
                try:
                    await self._session.open()
                except Exception as error:
                    raise self._unreached(error) from error
            return self._session

    def _begun(self) -> "McpSession":
        try:
            from control_zero.mcp_session import McpSession
        except ImportError as error:
            raise ToolCallRejected(
                f"{self._named} needs the `mcp` package, 2 or newer, which is not there ({error}); install controlzero-audit[mcp]"
            ) from error
        tool = self._tool
        if isinstance(tool, McpUrlTool):
            return McpSession.by_url(tool.url, filled(tool.headers, self._get_secret, tool=tool.name))
        return McpSession.by_command(tool.command, {**self._inherited, **filled(tool.env, self._get_secret, tool=tool.name)})

    def _unreached(self, cause: Exception) -> ToolUnavailable:
        tool = self._tool
        if isinstance(tool, McpCommandTool):
            way_out = f"does `{' '.join(tool.command)[:200]}` start on this machine?"
        else:
            way_out = "is it up, and is this its address?"
        return ToolUnavailable(
            f"{self._named} did not start ({type(cause).__name__}: {cause}){self._last_words}; {way_out}", was_asked=False
        )

    async def _answer(self, session: "McpSession", method: str, arguments: dict[str, Any]) -> Any:
        from mcp.shared.exceptions import MCPError

        try:
            result = await session.client.call_tool(method, arguments)
        except MCPError as error:
            if error.message == SESSION_LOST:
                await self.close()
                raise _SessionLostError from error
            if not error.message.startswith(CLOSED):
                raise ToolError(f"{self._named} refused `{method}`: {cut(error.message)} ({error.code})") from error
            raise await self._ended(session) from error
        except (ValueError, RuntimeError) as error:  # not of the protocol, or not as the server's own schema has it
            raise ToolError(f"{self._named} answered `{method}` with what cannot be taken: {cut(str(error))}") from error
        if result.is_error:
            raise ToolError(f"tool `{self._tool.name}`: `{method}` failed: {cut(_text(result.content)) or 'it says no more'}")
        return answer_of(result)

    async def _ended(self, session: "McpSession") -> ToolError | ToolUnavailable:
        """Return what is to be said of a session that ended while it was asked; the next call opens another."""
        await session.close()
        if session.problem:
            return ToolError(f"{self._named} {session.problem}")
        cause = "" if session.cause is None else f" ({type(session.cause).__name__}: {session.cause})"
        return ToolUnavailable(
            f"{self._named} ended before it answered{cause}{self._last_words}; the next call starts it again", was_asked=session.was_reached
        )


class _SessionLostError(Exception):
    """The server does not know the session any more, so it did nothing: it may be asked again in another."""


def answer_of(result: Any) -> Any:
    """Return what an MCP tool answered: its structured content, else its text, else its blocks as plain objects.

    A value that is no object travels as `{"result": value}` and is given as it was; then its text is not that object's.
    """
    found = result.structured_content
    if found is None:
        blocks = result.content
        if len(blocks) == 1 and blocks[0].type == "text":
            return blocks[0].text
        return [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in blocks] or None
    if isinstance(found, dict) and found.keys() == {"result"} and not _tells(result.content, found):
        return found["result"]
    return found


def _tells(content: Any, whole: dict[str, Any]) -> bool:
    try:
        return bool(msgspec.json.decode(_text(content)) == whole)
    except msgspec.DecodeError:
        return False


def _text(content: Any) -> str:
    return "\n".join(block.text for block in content if block.type == "text")
