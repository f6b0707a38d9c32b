"""`AsyncClient`: governs the calls of an agent that uses asyncio, over the same governance as `Client`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from controlzero.client import FLUSH_S_MAX, now, open_governance, since_ms
from controlzero.decisions import PolicyDecision
from controlzero.governance import Governance
from controlzero.ids import new_id as new_uuid
from controlzero.recorder.recording import EXIT_S_MAX
from controlzero.records import Mode
from controlzero.settings import read_settings

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
        environment: str | None = None,
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
            spool=spool,
            spool_bytes_max=spool_bytes_max,
        )
        self._surroundings = (transport, clock, new_id)
        self._opening: asyncio.Task[Governance] | None = None
        self._governance: Governance | None = None

    async def open(self) -> Governance:
        """Obtain what to judge by, in a thread of its own the first time. Raises as `Client` does."""
        if self._governance is None:
            if self._opening is None:
                self._opening = asyncio.create_task(asyncio.to_thread(open_governance, self._settings, *self._surroundings))
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
        tags: Facts | None = None,
        text: str | None = None,
        raise_on_deny: bool = False,
    ) -> PolicyDecision:
        """See `Client.guard`. It takes microseconds and never yields to the loop once open."""
        decision = (self._governance or await self.open()).guard(tool, method, args, context, agent_id, tags, text)
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
        tags: Facts | None = None,
        text: str | None = None,
    ) -> PolicyDecision:
        """See `Client.enforce`."""
        decision = (self._governance or await self.open()).enforce(action, resource, context, args, agent_id, tags, text)
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
        tags: Facts | None = None,
        text: str | None = None,
    ) -> AsyncIterator[PolicyDecision]:
        """See `Client.guarded`."""
        decision = await self.guard(tool, method, args, context, agent_id=agent_id, tags=tags, text=text, raise_on_deny=True)
        started = time.perf_counter()
        try:
            yield decision
        except BaseException as error:
            decision.finish(error, latency_ms=since_ms(started))
            raise
        decision.finish(None, latency_ms=since_ms(started))

    async def flush(self, timeout_s: float = FLUSH_S_MAX) -> bool:
        """See `Client.flush`."""
        return self._governance is None or await asyncio.to_thread(self._governance.flush, timeout_s)

    async def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """See `Client.close`."""
        return self._governance is None or await asyncio.to_thread(self._governance.close, timeout_s)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
