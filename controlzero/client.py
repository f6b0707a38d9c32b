"""`Client`: governs the calls of an agent that uses threads. `AsyncClient` is the same for asyncio."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from controlzero.connection import open_connection
from controlzero.decisions import PolicyDecision
from controlzero.governance import Governance
from controlzero.ids import new_id as new_uuid
from controlzero.recorder.recording import EXIT_S_MAX
from controlzero.records import Mode
from controlzero.settings import Settings, read_settings

if TYPE_CHECKING:
    import httpx

Facts = Mapping[str, object]
FLUSH_S_MAX = 5.0  # how long `flush` waits unless told otherwise


def now() -> int:
    """Return the time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Client:
    """Governs an agent's calls: judges each by policy in this process, records it, and tells what to do.

    With a server: `api_key`, `base_url`, `project_id` (CONTROLZERO_API_KEY, _BASE_URL, _PROJECT_ID). Without:
    `policy_file`, a policy or a folder with one per project (CONTROLZERO_POLICY_FILE, CONTROLZERO_MODE). Waits at
    most 2 s for the first bundle, falls back to the one kept on disk, else raises `Unavailable`; raises `Rejected`
    for settings that cannot work. Safe for any thread, and in a forked child.
    """

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
        settings = read_settings(
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
        self.governance = open_governance(settings, transport, clock, new_id)

    @property
    def project_id(self) -> str:
        """The project whose policy is in force."""
        return self.governance.source.governed.project_id

    @property
    def mode(self) -> Mode:
        """The mode in force now; with a server it may change at any time."""
        return self.governance.source.governed.mode

    @property
    def producer_id(self) -> str | None:
        """The producer of this process's run, None before its first record."""
        return self.governance.recorder.producer_id

    def guard(
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
        """Judge and record the call of a tool's method; test `.allowed` before carrying it out.

        `context` says who asks and on what (`user_id`, `user_group`, `session_id`, `resource`, `tags`, any other fact),
        `text` the message beside the action. Raises `PolicyDeniedError` only if `raise_on_deny`.
        """
        decision = self.governance.guard(tool, method, args, context, agent_id, tags, text)
        if raise_on_deny:
            decision.raise_if_denied()
        return decision

    def enforce(
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
        """Judge and record an action such as `llm.generate` on a resource. Raises `PolicyDeniedError` for a denial under enforce or by an order."""
        decision = self.governance.enforce(action, resource, context, args, agent_id, tags, text)
        decision.raise_if_denied()
        return decision

    @contextmanager
    def guarded(
        self,
        tool: str,
        method: str | None = None,
        args: Facts | None = None,
        context: Facts | None = None,
        *,
        agent_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
    ) -> Iterator[PolicyDecision]:
        """Guard a block that carries out the action, and record its outcome: latency, and the class of what it raised.

        Raises `PolicyDeniedError` before the block for a denial under enforce or by an order. Call `decision.outcome(...)` in the block to
        say more, such as tokens.
        """
        decision = self.guard(tool, method, args, context, agent_id=agent_id, tags=tags, text=text, raise_on_deny=True)
        started = time.perf_counter()
        try:
            yield decision
        except BaseException as error:
            decision.finish(error, latency_ms=since_ms(started))
            raise
        decision.finish(None, latency_ms=since_ms(started))

    def flush(self, timeout_s: float = FLUSH_S_MAX) -> bool:
        """Deliver what was recorded until now; return False where that was not possible in time (nothing is lost)."""
        return self.governance.flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """Deliver what is recorded and end in order; return False where some of it waits on disk for a later process."""
        return self.governance.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_governance(
    settings: Settings, transport: "httpx.BaseTransport | None", clock: Callable[[], int], new_id: Callable[[int], str]
) -> Governance:
    """Return the governance that a client of these settings stands on, once there is something to judge by."""
    connection = open_connection(settings, transport=transport, clock=clock, new_id=new_id)
    return Governance(settings, connection, clock=clock, new_id=new_id)


def since_ms(started: float) -> float:
    """Return the milliseconds since `started`, a `time.perf_counter()`."""
    return round((time.perf_counter() - started) * 1000, 3)
