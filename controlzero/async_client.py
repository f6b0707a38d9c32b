"""`AsyncClient`: governs the calls of an agent that uses asyncio, over the same governance as `Client`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from controlzero.client import FLUSH_S_MAX, Opening, now, open_governance
from controlzero.decisions import PolicyDecision, carrying_out
from controlzero.governance import Governance
from controlzero.governed_functions import Function, governed
from controlzero.ids import new_id as new_uuid
from controlzero.policy import Identity
from controlzero.policy.request import NOTHING
from controlzero.recorder.recording import EXIT_S_MAX
from controlzero.records import Mode
from controlzero.settings import Delivery, read_settings

if TYPE_CHECKING:
    import httpx

Facts = Mapping[str, object]


class AsyncClient:
    """`Client` for asyncio: the same arguments, methods and errors. It opens with `async with`, or at the first call."""

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        base_url: str | None = None,
        agent_id: str | None = None,
        policy_file: str | Path | None = None,
        mode: Mode | None = None,
        *,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        secrets_enabled: bool = False,
        environment: str | None = None,
        delivery: Delivery | None = None,
        spool: str | Path | None = None,
        spool_bytes_max: int | None = None,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], int] = now,
        new_id: Callable[[int], str] = new_uuid,
    ) -> None:
        self._settings = read_settings(
            api_key=api_key,
            project_id=project_id,
            base_url=base_url,
            agent_id=agent_id,
            policy_file=policy_file,
            mode=mode,
            environment=environment,
            delivery=delivery,
            spool=spool,
            spool_bytes_max=spool_bytes_max,
        )
        identity = Identity(
            agent_id=self._settings.agent_id, user_id=user_id, user_group=user_group, session_id=session_id, tags=tags or NOTHING
        )
        self._how = Opening(identity, secrets_enabled, transport, clock, new_id)
        self._opening: asyncio.Task[Governance] | None = None
        self._governance: Governance | None = None

    async def initialize(self) -> None:
        """See `Client.initialize`; `async with` and the first call do it too."""
        if self._governance is not None and self._governance.is_closed:
            self._governance = None
        await self.open()

    @property
    def project_id(self) -> str:
        """See `Client.project_id`."""
        return self._opened.source.governed.project_id

    @property
    def mode(self) -> Mode:
        """See `Client.mode`."""
        return self._opened.source.governed.mode

    @property
    def producer_id(self) -> str | None:
        """See `Client.producer_id`."""
        return self._opened.recorder.producer_id

    @property
    def opened(self) -> Governance | None:
        """What wrappers that cannot wait govern by; None before it is open."""
        return self._governance

    @property
    def _opened(self) -> Governance:
        if self._governance is None:
            raise RuntimeError("AsyncClient is not open: expected `async with` around it, or `await cz.initialize()` before")
        return self._governance

    async def open(self) -> Governance:
        """Obtain what to judge by, in a thread of its own the first time. Raises as `Client` does."""
        if self._governance is None:
            if self._opening is None:
                self._opening = asyncio.create_task(asyncio.to_thread(open_governance, self._settings, self._how))
            try:
                self._governance = await asyncio.shield(self._opening)
            finally:
                if self._opening is not None and self._opening.done():
                    self._opening = None
        return self._governance

    async def guard(
        self,
        tool: str,
        method: str | None = None,
        args: Facts | None = None,
        context: Facts | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
        raise_on_deny: bool = False,
    ) -> PolicyDecision:
        """See `Client.guard`. It takes microseconds and never yields to the loop once open."""
        governance = self._governance or await self.open()
        decision = governance.guard(tool, method, args, context, agent_id, tags, text, user_id, user_group, session_id)
        if raise_on_deny:
            decision.raise_if_denied()
        return decision

    async def enforce(
        self,
        action: str,
        *,
        resource: str | None = None,
        context: Facts | None = None,
        args: Facts | None = None,
        agent_id: str | None = None,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
    ) -> PolicyDecision:
        """See `Client.enforce`."""
        governance = self._governance or await self.open()
        decision = governance.enforce(action, resource, context, args, agent_id, tags, text, user_id, user_group, session_id)
        decision.raise_if_denied()
        return decision

    @asynccontextmanager
    async def guarded(
        self,
        tool: str,
        method: str | None = None,
        args: Facts | None = None,
        context: Facts | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
    ) -> AsyncIterator[PolicyDecision]:
        """See `Client.guarded`."""
        governance = self._governance or await self.open()
        decision = governance.guard(tool, method, args, context, agent_id, tags, text, user_id, user_group, session_id)
        with carrying_out(decision):
            yield decision

    @overload
    def tool(self, tool: Function, /) -> Function: ...

    @overload
    def tool(self, tool: str | None = None, method: str | None = None, *, tags: Facts | None = None) -> Callable[[Function], Function]: ...

    def tool(self, tool: Any = None, method: str | None = None, *, tags: Facts | None = None) -> Any:
        """See `Client.tool`; it takes coroutine functions and asynchronous generators, and raises `Rejected` for others."""
        if callable(tool):
            return governed(tool, None, None, None, opened=self.open)
        return lambda function: governed(function, tool, method, tags, opened=self.open)

    def get_secret(self, name: str) -> str:
        """See `Client.get_secret`. A look-up in memory: there is nothing to await."""
        return self._opened.secret(name)

    async def flush(self, timeout_s: float = FLUSH_S_MAX) -> bool:
        """See `Client.flush`."""
        return self._governance is None or await asyncio.to_thread(self._governance.flush, timeout_s)

    async def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """See `Client.close`."""
        return self._governance is None or await asyncio.to_thread(self._governance.close, timeout_s)

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class AsyncControlZero(AsyncClient):
    """`ControlZero` for asyncio: it opens by `await cz.initialize()`, by `async with`, or at the first call."""


async def async_init(**given: Any) -> AsyncClient:
    """Return a client for asyncio that is open; the arguments are those of `AsyncClient`."""
    client = AsyncClient(**given)
    await client.initialize()
    return client
