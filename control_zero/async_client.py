"""`AsyncControlZeroClient`: governs the tool calls of an agent that uses asyncio, as `ControlZeroClient` does."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from control_zero.calling import Facts, governed_call
from control_zero.client import ControlZeroClient, Function
from control_zero.settings import HOSTED_URL
from controlzero.client import now
from controlzero.governance import Governance
from controlzero.ids import new_id as new_uuid

if TYPE_CHECKING:
    import httpx


class AsyncControlZeroClient:
    """`ControlZeroClient` for asyncio: the same arguments, errors and methods, these as coroutines.

    A registered function that is no coroutine function runs in a thread of its own.
    """

    def __init__(
        self,
        api_key: str,
        agent_name: str | None = None,
        base_url: str = HOSTED_URL,
        enable_governance: bool = True,  # noqa: FBT001, FBT002 - the documented signature
        policy_mode: str = "cloud",
        policy_path: str | Path | None = None,
        rust_engine: bool = True,  # noqa: FBT001, FBT002
        refresh_interval_seconds: int = 300,
        max_cache_age_seconds: int = 86_400,
        *,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], int] = now,
        new_id: Callable[[int], str] = new_uuid,
    ) -> None:
        self._client = ControlZeroClient(
            api_key,
            agent_name,
            base_url,
            enable_governance,
            policy_mode,
            policy_path,
            rust_engine,
            refresh_interval_seconds,
            max_cache_age_seconds,
            transport=transport,
            clock=clock,
            new_id=new_id,
        )

    async def initialize(self) -> None:
        """See `ControlZeroClient.initialize`."""
        await asyncio.to_thread(self._client.initialize)

    def register_tool(self, name: str, target: object) -> None:
        """See `ControlZeroClient.register_tool`."""
        self._client.register_tool(name, target)

    def tool(self, name: str, method: str | None = None) -> Callable[[Function], Function]:
        """See `ControlZeroClient.tool`."""
        return self._client.tool(name, method)

    async def call_tool(self, tool: str, method: str, arguments: dict[str, Any] | None = None, context: Facts | None = None) -> Any:
        """See `ControlZeroClient.call_tool`. Who is cancelled meanwhile gives the call up."""
        ready = self._client.ready()
        with governed_call(ready.governance, tool, method, arguments, context):
            function = self._client.registered.method(tool, method)
            if function is None:
                if tool not in ready.remote.by_name:
                    await asyncio.to_thread(ready.reach, tool, self._client.registered)
                return await asyncio.wrap_future(ready.remote.call(tool, method, arguments or {}))
            if inspect.iscoroutinefunction(function):
                return await function(**(arguments or {}))
            result = await asyncio.to_thread(function, **(arguments or {}))
            return await result if inspect.isawaitable(result) else result

    async def sync_policies(self) -> bool:
        """See `ControlZeroClient.sync_policies`."""
        return await asyncio.to_thread(self._client.sync_policies)

    async def load_policy_bundle(self, path: str | Path) -> bool:
        """See `ControlZeroClient.load_policy_bundle`."""
        return await asyncio.to_thread(self._client.load_policy_bundle, path)

    async def check_llm_request(
        self,
        model: str,
        provider: str,
        estimated_tokens: int,
        functions: Sequence[Any] | None = None,
        has_pii: bool = False,  # noqa: FBT001, FBT002 - the documented signature
    ) -> dict[str, Any] | None:
        """See `ControlZeroClient.check_llm_request`."""
        return self._client.check_llm_request(model, provider, estimated_tokens, functions, has_pii)

    async def process_pii(self, text: str, action: str = "detect") -> dict[str, Any] | None:
        """See `ControlZeroClient.process_pii`."""
        return self._client.process_pii(text, action)

    async def flush(self) -> None:
        """See `ControlZeroClient.flush`."""
        await asyncio.to_thread(self._client.flush)

    async def close(self) -> None:
        """See `ControlZeroClient.close`."""
        await asyncio.to_thread(self._client.close)

    @property
    def has_rust_engine(self) -> bool:
        """See `ControlZeroClient.has_rust_engine`."""
        return self._client.has_rust_engine

    @property
    def governance(self) -> Governance:
        """What wrappers such as `wrap_openai` govern by. Raises RuntimeError before `initialize()`."""
        return self._client.governance

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
