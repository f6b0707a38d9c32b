"""`ControlZeroClient`: governs an agent's tools and carries them out; `AsyncControlZeroClient` is the same for asyncio."""

import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from control_zero.calling import Facts, governed_call, llm_request
from control_zero.opening import Opened, Surroundings
from control_zero.personal_data import processed
from control_zero.registered_tools import RegisteredTools
from control_zero.settings import HOSTED_URL, read_options
from controlzero.client import FLUSH_S_MAX, now
from controlzero.governance import Governance
from controlzero.ids import new_id as new_uuid

if TYPE_CHECKING:
    import httpx

Function = TypeVar("Function", bound=Callable[..., Any])


class ControlZeroClient:
    """Governs an agent's tool calls and carries them out, under the names of the hosted SDK.

    `initialize()` (or `with`) comes before the first call. `base_url` left as documented means this product's own address
    (CONTROLZERO_BASE_URL, else http://127.0.0.1:8700): the hosted service is never contacted. `agent_name` defaults to
    CZ_AGENT_NAME, else `default-agent`. `policy_mode`: `cloud` judges by the server's bundle, `local` by the .czpolicy file at
    `policy_path` without contacting a server, `hybrid` by that file until the server gives its own. A new bundle is there
    within moments, and asked for every `refresh_interval_seconds` at the latest; one that no server confirmed for
    `max_cache_age_seconds` is stale, and the project's setting says what then. `enable_governance=False` judges nothing and
    records every call with mode `off`. `rust_engine` changes nothing: there is one engine. Raises ValueError for options that cannot
    work. Safe for any thread, and in a forked child.
    """

    def __init__(
        self,
        api_key: str,
        agent_name: str | None = None,
        base_url: str = HOSTED_URL,
        enable_governance: bool = True,  # noqa: FBT001, FBT002 - the documented signature
        policy_mode: str = "cloud",
        policy_path: str | Path | None = None,
        rust_engine: bool = True,  # noqa: ARG002, FBT001, FBT002
        refresh_interval_seconds: int = 300,
        max_cache_age_seconds: int = 86_400,
        *,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], int] = now,
        new_id: Callable[[int], str] = new_uuid,
    ) -> None:
        self._options = read_options(
            api_key=api_key,
            agent_name=agent_name,
            base_url=base_url,
            enable_governance=enable_governance,
            policy_mode=policy_mode,
            policy_path=policy_path,
            refresh_interval_seconds=refresh_interval_seconds,
            max_cache_age_seconds=max_cache_age_seconds,
        )
        self._surroundings = Surroundings(transport, clock, new_id)
        self.registered = RegisteredTools()
        self._opening = threading.Lock()
        self._opened: Opened | None = None

    def initialize(self) -> None:
        """Fetch session config, secrets and policy bundle; in local mode load the bundle from `policy_path` and contact no server.

        Raises `BundleVerificationError` or `BundleTamperError` for a bundle that must not be taken, `Unavailable` where the server
        gives no answer, `Rejected` for a key it refuses.
        """
        with self._opening:
            if self._opened is None:
                self._opened = Opened(self._options, self._surroundings)

    def register_tool(self, name: str, target: object) -> None:
        """Register a tool that is Python; it goes before one of that name in the session config.

        `target` is a mapping of functions by method name, an object whose public methods they are, or a function that is
        called with the method's name first. Arguments are given by name. Raises ValueError where nothing can be called.
        """
        self.registered.add(name, target)

    def tool(self, name: str, method: str | None = None) -> Callable[[Function], Function]:
        """Register a function as one method of a tool: `@client.tool("database")`. The method is the function's name unless said."""

        def register(function: Function) -> Function:
            self.registered.add_method(name, method or function.__name__, function)
            return function

        return register

    def call_tool(self, tool: str, method: str, arguments: dict[str, Any] | None = None, context: Facts | None = None) -> Any:
        """Judge `tool:method`, carry it out if that is allowed, and return the tool's result.

        `context` says who asks: `user_id`, `user_group`, `tags`. Raises `PolicyDeniedError` before the tool is invoked,
        RuntimeError before `initialize()`, `ToolNotFound` (a ValueError) for a tool that is neither registered nor in the session config,
        `ToolError` or `ToolUnavailable` where the tool fails or gives no answer, and whatever a registered tool raises.
        """
        ready = self.ready()
        with governed_call(ready.governance, tool, method, arguments, context):
            function = self.registered.method(tool, method)
            if function is None:
                ready.reach(tool, self.registered)
                return awaited(ready.remote.call(tool, method, arguments or {}))
            result = function(**(arguments or {}))
            return awaited(ready.remote.run(result)) if inspect.isawaitable(result) else result

    def sync_policies(self) -> bool:
        """Pull the latest bundle from the server now; return whether that succeeded. In local mode the file is read again.

        Raises `BundleVerificationError` or `BundleTamperError` for one that must not be taken; the one in force stays.
        """
        return self.ready().sync()

    def load_policy_bundle(self, path: str | Path) -> bool:
        """Judge by the bundle in a .czpolicy file from now on, until the server gives another; return True.

        Raises `BundleVerificationError` or `BundleTamperError` for one that must not be taken (an older one too), `Rejected`
        where it cannot be read; the one in force stays.
        """
        return self.ready().load(Path(path))

    def check_llm_request(
        self,
        model: str,
        provider: str,
        estimated_tokens: int,
        functions: Sequence[Any] | None = None,
        has_pii: bool = False,  # noqa: FBT001, FBT002 - the documented signature
    ) -> dict[str, Any] | None:
        """Judge and record a request to a model, `llm:generate` on `model/<model>`; return the decision as a dict. It does not raise for a denial.

        Policies see `provider`, `estimated_tokens`, `functions` (by name) and `has_pii` among the arguments.
        """
        return llm_request(self.ready().governance, model, provider, estimated_tokens, functions, has_pii=has_pii)

    def process_pii(self, text: str, action: str = "detect") -> dict[str, Any] | None:
        """Return what personal data and secrets a text holds: `has_pii`, `has_secret`, `entities`, and the `text`.

        With the action `redact` the text has masks in their place, such as `[email:kdfbcaemph]`. Raises ValueError for another action.
        """
        return processed(text, action, self.ready().governance.source.governed.masking)

    def flush(self) -> None:
        """Deliver what was recorded until now, waiting at most 5 s; what is left is delivered in the background."""
        self.ready().governance.flush(FLUSH_S_MAX)

    def close(self) -> None:
        """Deliver what is recorded, wipe the secrets from memory, end the tools' processes and connections."""
        with self._opening:
            ready, self._opened = self._opened, None
        if ready is not None:
            ready.close()

    @property
    def has_rust_engine(self) -> bool:
        """False: policies are judged by the one evaluator that workers and replays use, which is Python over RE2; none is compiled from Rust."""
        return False

    @property
    def governance(self) -> Governance:
        """What wrappers such as `wrap_openai` govern by. Raises RuntimeError before `initialize()`."""
        return self.ready().governance

    def ready(self) -> Opened:
        """What calls stand on. Raises RuntimeError before `initialize()`."""
        ready = self._opened
        if ready is None:
            raise RuntimeError(f"{type(self).__name__} is not initialized: call initialize() first, or use it in a `with` block")
        return ready

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def awaited(future: "Future[Any]") -> Any:
    """Wait for a tool's answer; who is interrupted meanwhile gives the call up."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
