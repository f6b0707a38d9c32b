"""`ControlZero`: the client of older guides, which is made first and opened by `initialize()`."""

from contextlib import AbstractContextManager
from typing import Any

from controlzero.client import Client
from controlzero.decisions import PolicyDecision
from controlzero.governance import Governance
from controlzero.recorder.recording import EXIT_S_MAX


def init(**given: Any) -> Client:
    """Return a client; the arguments are those of `Client`."""
    return Client(**given)


class ControlZero:
    """A `Client` in two steps: the arguments are those of `Client`, and nothing is obtained before `initialize()`."""

    def __init__(self, **given: Any) -> None:
        self._given = given
        self._client: Client | None = None

    def initialize(self) -> None:
        """Obtain what to judge by. Raises as `Client` does."""
        if self._client is None:
            self._client = Client(**self._given)

    @property
    def client(self) -> Client:
        """The client behind it. Raises RuntimeError before `initialize()`."""
        if self._client is None:
            raise RuntimeError("ControlZero is not initialized: call initialize() first, or use controlzero.Client")
        return self._client

    @property
    def governance(self) -> Governance:
        """What wrappers such as `wrap_openai` govern by."""
        return self.client.governance

    def guard(self, tool: str, method: str | None = None, **facts: Any) -> PolicyDecision:
        """See `Client.guard`."""
        return self.client.guard(tool, method, **facts)

    def enforce(self, action: str, **facts: Any) -> PolicyDecision:
        """See `Client.enforce`."""
        return self.client.enforce(action, **facts)

    def guarded(self, tool: str, method: str | None = None, **facts: Any) -> AbstractContextManager[PolicyDecision]:
        """See `Client.guarded`."""
        return self.client.guarded(tool, method, **facts)

    def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """See `Client.close`."""
        return self._client is None or self._client.close(timeout_s)

    def __enter__(self) -> "ControlZero":
        self.initialize()
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
