"""`Client`: governs the calls of an agent that uses threads. `AsyncClient` is the same for asyncio."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from msgspec import Struct

from controlzero.connection import open_connection
from controlzero.decisions import PolicyDecision, carrying_out
from controlzero.governance import Governance
from controlzero.governed_functions import Function, governed
from controlzero.ids import new_id as new_uuid
from controlzero.policy import Identity
from controlzero.policy.request import NOTHING
from controlzero.recorder.recording import EXIT_S_MAX
from controlzero.records import Mode
from controlzero.settings import Delivery, Settings, read_settings

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
    `policy_file`, a policy or a folder with one per project (CONTROLZERO_POLICY_FILE, CONTROLZERO_MODE). Records go to
    the server, or with `delivery="kafka"` (CONTROLZERO_DELIVERY) to the brokers that KAFKA_* name. Waits at
    most 2 s for the first bundle, falls back to the one kept on disk, else raises `Unavailable`; raises `Rejected`
    for settings that cannot work. `agent_id`, `user_id`, `user_group`, `session_id` and `tags` hold for every call,
    unless `controlzero.context` or the call says otherwise. Safe for any thread, and in a forked child.
    """

    _opens_later: ClassVar[bool] = False

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
        self._opening = threading.Lock()
        self._governance: Governance | None = None
        if not self._opens_later:
            self.initialize()

    def initialize(self) -> None:
        """Obtain what to judge by, and the secrets if they are enabled; a `Client` has done so when it is there. Raises as that does.

        After `close()` it does so anew.
        """
        with self._opening:
            if self._governance is None or self._governance.is_closed:
                self._governance = open_governance(self._settings, self._how)

    @property
    def governance(self) -> Governance:
        """What wrappers such as `wrap_openai` govern by. Raises RuntimeError before `initialize()`."""
        if self._governance is None:
            raise RuntimeError(f"{type(self).__name__} is not initialized: call initialize() first, or use controlzero.Client")
        return self._governance

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
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
        raise_on_deny: bool = False,
    ) -> PolicyDecision:
        """Judge and record the call of a tool's method; test `.allowed` before carrying it out.

        `context` says who asks and on what (`user_id`, `user_group`, `session_id`, `resource`, `tags`, any other fact),
        `text` the message beside the action. Raises `PolicyDeniedError` only if `raise_on_deny`.
        """
        decision = self.governance.guard(tool, method, args, context, agent_id, tags, text, user_id, user_group, session_id)
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
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
    ) -> PolicyDecision:
        """Judge and record an action such as `llm.generate` on a resource. Raises `PolicyDeniedError` for a denial under enforce or by an order."""
        decision = self.governance.enforce(action, resource, context, args, agent_id, tags, text, user_id, user_group, session_id)
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
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        tags: Facts | None = None,
        text: str | None = None,
    ) -> Iterator[PolicyDecision]:
        """Guard a block that carries out the action, and record its outcome: latency, and the class of what it raised.

        Raises `PolicyDeniedError` before the block for a denial under enforce or by an order. Call `decision.outcome(...)` in the block to
        say more, such as tokens.
        """
        decision = self.governance.guard(tool, method, args, context, agent_id, tags, text, user_id, user_group, session_id)
        with carrying_out(decision):
            yield decision

    @overload
    def tool(self, tool: Function, /) -> Function: ...

    @overload
    def tool(self, tool: str | None = None, method: str | None = None, *, tags: Facts | None = None) -> Callable[[Function], Function]: ...

    def tool(self, tool: Any = None, method: str | None = None, *, tags: Facts | None = None) -> Any:
        """Govern a function of your own: `@cz.tool`, or `@cz.tool("database", method="query")`.

        Each call is judged with its arguments by name before it runs, and its outcome recorded: `tool:call` on
        `tool/<the function's name>` where nothing else is said. Functions, coroutines, generators and asynchronous
        generators stay what they are; a denial under enforce or by an order raises `PolicyDeniedError` before the body.
        """
        if callable(tool):
            return governed(tool, None, None, None, governance=lambda: self.governance)
        return lambda function: governed(function, tool, method, tags, governance=lambda: self.governance)

    def get_secret(self, name: str) -> str:
        """Return a secret of the project from memory, without a network; `secrets_enabled=True` brought them here at the start.

        Raises `Rejected` for an unknown name (it says which there are), without `secrets_enabled`, and after `close()`.
        """
        return self.governance.secret(name)

    def flush(self, timeout_s: float = FLUSH_S_MAX) -> bool:
        """Deliver what was recorded until now; return False where that was not possible in time (nothing is lost)."""
        return self._governance is None or self._governance.flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """Wipe the secrets, deliver what is recorded and end in order; return False where some of it waits on disk for a later process.

        Who guards a call after that is judged by the bundle as it was, and the record says that no server confirmed it.
        """
        return self._governance is None or self._governance.close(timeout_s)

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Opening(Struct, frozen=True):
    """What a client is made with beside its settings."""

    identity: Identity
    has_secrets: bool
    transport: "httpx.BaseTransport | None"
    clock: Callable[[], int]
    new_id: Callable[[int], str]


def open_governance(settings: Settings, how: Opening) -> Governance:
    """Return the governance that a client of these settings stands on, once there is something to judge by."""
    connection = open_connection(settings, transport=how.transport, clock=how.clock, new_id=how.new_id)
    if how.has_secrets:
        try:
            connection.open_secrets()
        except BaseException:
            connection.close()
            raise
    return Governance(settings, connection, identity=how.identity, has_secrets=how.has_secrets, clock=how.clock, new_id=how.new_id)
