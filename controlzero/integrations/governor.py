"""What all wrappers do: a decision before the call, its outcome after. They differ in where they stand and what they read."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from msgspec import Struct, structs

from controlzero.decisions import PolicyDecision, since_ms
from controlzero.errors import Rejected
from controlzero.governance import Governance
from controlzero.integrations.prices import Spent, cost_usd, prices
from controlzero.integrations.usage import NOTHING_SAID

Said = TypeVar("Said")
Told = TypeVar("Told")

log = logging.getLogger("controlzero")


class SyncGoverned(Protocol):
    """What a `Client` or a `ControlZero` offers to wrappers."""

    @property
    def governance(self) -> Governance:
        """The governance to judge and record by."""
        ...


class AsyncGoverned(Protocol):
    """What an `AsyncClient` offers to wrappers."""

    async def open(self) -> Governance:
        """Return the governance to judge and record by, once there is something to judge by."""
        ...


class Asked(Struct, frozen=True):
    """One call as far as the policy and the record are concerned; `model` is what to price if the answer names none.

    `unread` says why the call could not be read: then it is not judged, which enforce denies.
    """

    action: str
    resource: str | None = None
    args: Mapping[str, Any] | None = None
    text: str | None = None
    model: str | None = None
    unread: Exception | None = None


class Underway:
    """A call that was let through and has not ended yet; what is raised in a `with` over it ends it, and nothing else does."""

    def __init__(self, decision: PolicyDecision, governance: Governance, model: str | None) -> None:
        self.decision = decision
        self._later = governance.later
        self._table = prices(governance.prices_file)
        self._model = model
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.end(error)

    def end(self, error: BaseException | None = None, spent: Spent = NOTHING_SAID) -> None:
        """Record the outcome, once: latency, tokens, and what they cost where the table of prices says it."""
        self._end(error, spent, since_ms(self._started))

    def leave(self, spent: Spent = NOTHING_SAID) -> None:
        """Note an answer nobody will read on: recorded as cancelled with the next record, as this may be the garbage collector's call."""
        self._later.append(partial(self._end, GeneratorExit(), spent, since_ms(self._started)))

    def _end(self, error: BaseException | None, spent: Spent, latency_ms: float) -> None:
        if spent.model is None:
            spent = structs.replace(spent, model=self._model)
        self.decision.finish(
            error,
            latency_ms=latency_ms,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            cost_usd=cost_usd(spent, self._table),
        )


class Governor:
    """Judges the calls of one wrapped client, for one agent."""

    def __init__(self, cz: SyncGoverned | AsyncGoverned, agent_id: str | None, *, wrapper: str) -> None:
        self._cz = cz
        self._agent_id = agent_id
        self._wrapper = wrapper

    def begin(self, asked: Asked) -> Underway:
        """Judge and record a call. Raises `PolicyDeniedError` for a denial under enforce or by an order."""
        governance = getattr(self._cz, "governance", None) or getattr(self._cz, "opened", None)
        if governance is None:
            raise Rejected(
                f"{self._wrapper}: the AsyncClient is not open yet; expected `async with` around it, or `await cz.open()` before"
            )
        return self._begun(governance, asked)

    async def begin_async(self, asked: Asked) -> Underway:
        """As `begin`, opening an `AsyncClient` where that has not happened."""
        if hasattr(self._cz, "open"):
            return self._begun(await self._cz.open(), asked)
        return self.begin(asked)

    def foresees(self, asked: Asked) -> bool:
        """Say whether a call would go ahead now, without recording that anybody asked. For a `Client` only."""
        return self._cz.governance.foresees(asked.action, asked.resource, self._agent_id)  # type: ignore[union-attr]  # a `Client`

    def _begun(self, governance: Governance, asked: Asked) -> Underway:
        if asked.unread is None:
            decision = governance.enforce(asked.action, asked.resource, None, asked.args, self._agent_id, None, asked.text)
        else:
            decision = governance.unjudged(asked.action, self._agent_id, asked.unread)
        decision.raise_if_denied()
        return Underway(decision, governance, asked.model)


class ToolError(Exception):
    """What a tool's own word that it failed is recorded as."""


def asked_by(read: Callable[[], Told], action: str) -> "Told | Asked":
    """Read what a call asks for. One that cannot be read is not judged, which enforce denies: it may run anything."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - log-only goes ahead whatever comes
        log.error("A call of %s could not be read: %s.", action, type(error).__name__)
        return Asked(action, unread=error)


def edge(read: Callable[[Said], Told], said: Said, otherwise: Told) -> Told:
    """Read what a library says, where nothing may be raised: a shape we do not know costs a figure, and nobody's call."""
    try:
        return read(said)
    except Exception as error:  # noqa: BLE001 - log-only goes ahead whatever comes
        log.error("What a call took could not be read: %s.", type(error).__name__)
        return otherwise


def library(name: str, *, extra: str, wrapper: str) -> Any:
    """Import the library a wrapper is for. Raises `Rejected`, which names the extra, where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        raise Rejected(
            f"{wrapper}: `{missing.name}` is not installed; expected the extra: pip install 'controlzero-audit[{extra}]'"
        ) from None
