"""Tools behind HTTP: a method is called by POST, its arguments as JSON, and answers JSON or text."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from control_zero.answers import ANSWER_BYTES_MAX, GetSecret, cut, encoded, filled, method_url, shown
from control_zero.errors import ToolCallRejected, ToolError, ToolUnavailable
from controlzero.recorder.link import is_loopback
from controlzero.session import HttpTool

if TYPE_CHECKING:
    import httpx

SENT = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # what is not packed cannot expand beyond its limit


class HttpEndpoint:
    """One tool behind HTTP. Redirects are not followed: its headers hold secrets that are for its own address."""

    def __init__(self, tool: HttpTool, get_secret: GetSecret) -> None:
        self._tool = tool
        self._get_secret = get_secret
        self._client: httpx.AsyncClient | None = None

    async def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call a method. Raises `ToolUnavailable` where no answer comes, `ToolError` for one that is an error."""
        import httpx

        name, url = self._tool.name, method_url(self._tool.name, self._tool.url, method)
        client = self._opened(httpx.AsyncClient)
        request = client.build_request(
            "POST", url, content=encoded(name, arguments), headers=SENT | filled(self._tool.headers, self._get_secret, tool=name)
        )
        try:
            async with asyncio.timeout(self._tool.timeout_s):
                return await self._answer(client, method, request)
        except TimeoutError as error:
            raise ToolUnavailable(
                f"tool `{name}`: {shown(url)} gave no whole answer within {self._tool.timeout_s:g} s; it may still do its work",
                was_asked=True,
            ) from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            raise ToolUnavailable(
                f"tool `{name}`: {shown(url)} was not reached ({type(error).__name__}: {error}); is it up, and is this its address?",
                was_asked=False,
            ) from error
        except httpx.LocalProtocolError as error:
            raise ToolCallRejected(f"tool `{name}`: a header of it cannot be sent; is there a line break in a secret?") from error
        except httpx.HTTPError as error:
            raise ToolUnavailable(
                f"tool `{name}`: {shown(url)} broke off its answer ({type(error).__name__}); it may have done its work", was_asked=True
            ) from error

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _opened(self, client: "type[httpx.AsyncClient]") -> "httpx.AsyncClient":
        if self._client is None:
            self._client = client(timeout=None, trust_env=not is_loopback(self._tool.url))
        return self._client

    async def _answer(self, client: "httpx.AsyncClient", method: str, request: "httpx.Request") -> Any:
        response = await client.send(request, stream=True)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        text = body.decode("utf-8", "replace")
        if not response.is_success:
            raise ToolError(
                f"tool `{self._tool.name}`: `{method}` was answered {response.status_code} {response.reason_phrase}: {cut(text) or 'no more'}"
            )
        if "json" not in response.headers.get("Content-Type", ""):
            return text
        try:
            return msgspec.json.decode(body) if body else None
        except msgspec.DecodeError as error:
            raise ToolError(f"tool `{self._tool.name}`: `{method}` answered what it calls JSON and is none: {error}") from error

    async def _read(self, response: "httpx.Response") -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise ToolError(f"tool `{self._tool.name}`: answered more than {ANSWER_BYTES_MAX:,} bytes; ask it for less, page by page")
        return bytes(body)
