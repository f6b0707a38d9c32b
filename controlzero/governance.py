"""The one edge behind both clients: judge, record before the action, hand the decision out; record what became of it."""

import atexit
import logging
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from msgspec import structs

from controlzero import ambient
from controlzero.connection import Connection
from controlzero.decisions import Denial, PolicyDecision
from controlzero.errors import Rejected
from controlzero.guarding import (
    Call,
    Governed,
    Ruling,
    decision_line,
    rule_on,
    rule_under_orders,
    rule_without_record,
    rule_without_verdict,
)
from controlzero.pass_through import Source
from controlzero.policy import Identity, Request, request_for_enforce, request_for_guard
from controlzero.policy.conditions import IDENTITY
from controlzero.policy.request import NOTHING, canonical_action
from controlzero.records import Outcome, OutcomeStatus, encode_record
from controlzero.session import Session
from controlzero.settings import Settings

Facts = Mapping[str, object]
Taken = TypeVar("Taken")

log = logging.getLogger("controlzero")


class Governance:
    """Governs calls for one client. Nothing here raises into the host but a denial under enforce or by an order."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        *,
        identity: Identity,
        has_secrets: bool,
        clock: Callable[[], int],
        new_id: Callable[[int], str],
    ) -> None:
        self.source: Source = connection.source
        self.recorder = connection.recorder
        self._connection = connection
        self._clock = clock
        self._new_id = new_id
        self._identity = identity
        self._has_secrets = has_secrets
        self._environment = settings.environment
        self.prices_file = settings.prices
        self.later: deque[Callable[[], None]] = deque()  # outcomes noted where nothing may be recorded, such as in the garbage collector
        self._unread: deque[str] = deque()
        self._denials: set[weakref.ref[Denial]] = set()  # those somebody still holds
        self._logged: set[str] = set()
        self._is_closed = False
        _OPEN.add(self)

    def guard(
        self,
        tool: str,
        method: str | None,
        args: Facts | None,
        context: Facts | None,
        agent_id: str | None,
        tags: Facts | None,
        text: str | None,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
        mcp_url: str | None = None,
    ) -> PolicyDecision:
        """Judge and record a tool call; `mcp_url` is the tool's, such as `mcp://shell/run`."""
        _check_text("guard", "tool", tool)
        if method is not None and not isinstance(method, str):
            raise TypeError(
                f"guard: the method is {type(method).__name__}, expected text; arguments go by name: guard(tool, method=…, args=…)"
            )
        if text is not None:
            _check_text("guard", "text", text)
        context = self._context(context, agent_id, user_id, user_group, session_id)
        governed = self.source.governed
        at = self._clock()
        request: Request | None
        started = time.perf_counter_ns()
        try:
            request = request_for_guard(
                tool, method=method, args=args, context=context, mcp_url=mcp_url, tags=tags, identity=self._identity
            )
            ruling = rule_on(governed, request, at=at)
        except Exception as error:  # noqa: BLE001 - an evaluator that fails must not take the agent with it; enforce denies
            request = self._asked_for(partial(request_for_guard, tool, method=method), context)
            ruling = self._without_verdict(governed, error)
        took_ns = time.perf_counter_ns() - started
        action_raw = tool if request is None else request.action_raw
        return self._recorded(governed, self._call(action_raw, tool, method, text, context), context, request, ruling, at, took_ns)

    def enforce(
        self,
        action: str,
        resource: str | None,
        context: Facts | None,
        args: Facts | None,
        agent_id: str | None,
        tags: Facts | None,
        text: str | None,
        user_id: str | None = None,
        user_group: str | None = None,
        session_id: str | None = None,
    ) -> PolicyDecision:
        """Judge and record an action named in full."""
        _check_text("enforce", "action", action)
        if resource is not None:
            _check_text("enforce", "resource", resource)
        if text is not None:
            _check_text("enforce", "text", text)
        context = self._context(context, agent_id, user_id, user_group, session_id)
        governed = self.source.governed
        at = self._clock()
        request: Request | None
        started = time.perf_counter_ns()
        try:
            request = request_for_enforce(action, resource=resource, context=context, args=args, tags=tags, identity=self._identity)
            ruling = rule_on(governed, request, at=at)
        except Exception as error:  # noqa: BLE001 - as in `guard`
            request, ruling = self._asked_for(partial(request_for_enforce, action), context), self._without_verdict(governed, error)
        took_ns = time.perf_counter_ns() - started
        return self._recorded(governed, self._call(action, None, None, text, context), context, request, ruling, at, took_ns)

    def secret(self, name: str) -> str:
        """Return a secret of the project. Raises `Rejected` where there is none to be had."""
        if not self._has_secrets:
            raise Rejected(f"secret `{name}`: this client holds none; make it with secrets_enabled=True")
        if self._is_closed:
            raise Rejected(f"secret `{name}`: the client is closed, and what it held is wiped")
        return self._connection.vault.get(name)

    def foresees(self, action: str, resource: str | None, agent_id: str | None) -> bool:
        """Say whether an action without arguments would go ahead now. Nothing is recorded: nobody asked for it yet."""
        context = self._context(None, agent_id, None, None, None)
        governed = self.source.governed
        request: Request | None = None
        try:
            request = request_for_enforce(action, resource=resource, context=context, identity=self._identity)
            ruling = rule_on(governed, request, at=self._clock())
        except Exception as error:  # noqa: BLE001 - as in `guard`
            ruling = self._without_verdict(governed, error)
        return rule_under_orders(ruling, governed, lambda: self._agent_of(request, context)).allowed

    def unjudged(self, action: str, agent_id: str | None, error: Exception) -> PolicyDecision:
        """Record an action that nobody could read: enforce denies, log-only goes ahead."""
        context = self._context(None, agent_id, None, None, None)
        governed = self.source.governed
        request, ruling = self._asked_for(partial(request_for_enforce, action), context), self._without_verdict(governed, error)
        return self._recorded(governed, self._call(action, None, None, None, context), context, request, ruling, self._clock(), 0)

    def open_session(self) -> Session:
        """Ask the server for the project's tools, and hold the secrets the key may read. Raises `Rejected` or `Unavailable`."""
        session = self._connection.open_session()
        if self._has_secrets:
            self._connection.close_secrets()
        self._has_secrets = True
        return session

    def without_secrets(self, words: str) -> str:
        """Return a text with masks in the place of the project's secrets, where there are any."""
        vault = self._connection.vault
        if vault.masks_nothing or not vault.is_in(words.encode("utf-8", "surrogatepass")):
            return words
        return self.source.governed.masking.text(words, "text", sys.maxsize, [])

    def record_outcome(
        self,
        decision_id: str,
        *,
        carried_out: bool,
        status: OutcomeStatus,
        error_class: str | None = None,
        latency_ms: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        denial_unread: bool = False,
    ) -> None:
        """Record what became of a decision."""
        try:
            outcome = Outcome(
                decision_id=decision_id,
                occurred_at=self._clock(),
                carried_out=carried_out,
                status=status,
                error_class=error_class,
                latency_ms=latency_ms,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_usd=cost_usd,
                denial_unread=denial_unread,
            )
            self.recorder.record(encode_record(outcome))
        except Exception as error:  # noqa: BLE001 - recording never raises into the host
            self._lose(error)

    def flush(self, timeout_s: float) -> bool:
        """Deliver what was recorded before."""
        self.note_unread()
        return self.recorder.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Note what nobody read, and leave the connection."""
        if self._is_closed:
            return True
        self._is_closed = True
        self.note_living_denials()
        if self._has_secrets:
            self._connection.close_secrets()
        return self._connection.close(timeout_s)

    @property
    def is_closed(self) -> bool:
        """Whether its client has left: nobody follows the server for it any more."""
        return self._is_closed

    def note_living_denials(self) -> None:
        """Note the denials that are still there and that nobody has read by now."""
        for held in list(self._denials):
            denial = held()
            if denial is not None:
                denial.note_if_unread()
        self.note_unread()

    def note_unread(self) -> None:
        """Record each denial that is gone without anybody having looked at it (the action most likely went ahead), and what was noted."""
        for finish in _taken(self.later):
            finish()
        for decision_id in _taken(self._unread):
            self.record_outcome(decision_id, carried_out=False, status="denied", denial_unread=True)

    def _context(
        self, context: Facts | None, agent_id: str | None, user_id: str | None, user_group: str | None, session_id: str | None
    ) -> Facts | None:
        if context is not None and type(context) is not dict and not isinstance(context, Mapping):
            raise TypeError(f'context: expected a dict of facts such as {{"user_id": "ada"}}, got {type(context).__name__}')
        outer = ambient.facts()
        if agent_id is not None or user_id is not None or user_group is not None or session_id is not None:
            said = {"agent_id": agent_id, "user_id": user_id, "user_group": user_group, "session_id": session_id}
            outer = {**(outer or {}), **{name: value for name, value in said.items() if value is not None}}
        return ambient.merged(outer, context) if outer else context

    def _call(self, action_raw: str, tool: str | None, method: str | None, text: str | None, context: Facts | None) -> Call:
        trace_id, span_id = (context.get("trace_id"), context.get("span_id")) if context else (None, None)
        if trace_id is None and span_id is None:
            try:
                trace_id, span_id = ambient.running_span()
            except Exception as error:  # noqa: BLE001 - the host's tracer must not take the agent with it
                self._say(f"The running span could not be read, so decisions carry no trace id: {type(error).__name__}: {error}")
        return Call(
            action_raw,
            tool,
            method,
            text,
            None if trace_id is None else str(trace_id),
            None if span_id is None else str(span_id),
            self._environment,
        )

    def _asked_for(self, request_of: Callable[..., Request], context: Facts | None) -> Request | None:
        """Return who asked for which action, and nothing of what made judging it fail: the record is to name them."""
        try:
            who = {name: context[name] for name in IDENTITY if name in context} if context else None
            return request_of(context=who, identity=structs.replace(self._identity, tags=NOTHING))
        except Exception as error:  # noqa: BLE001 - then it is recorded without
            self._say(f"Who asked could not be read: {type(error).__name__}")
            return None

    def _agent_of(self, request: Request | None, context: Facts | None) -> object:
        """Return who asks, also where the request could not be made."""
        if request is not None:
            return request.agent_id
        said = context or {}
        return said.get("agent_id") or said.get("agent_name") or self._identity.agent_id

    def _recorded(
        self,
        governed: Governed,
        call: Call,
        context: Facts | None,
        request: Request | None,
        ruling: Ruling,
        at: int,
        took_ns: int,
    ) -> PolicyDecision:
        if governed.orders:
            ruling = rule_under_orders(ruling, governed, lambda: self._agent_of(request, context))
        decision_id = self._new_id(at)
        kept = False
        try:
            line = decision_line(governed, call, request, ruling, decision_id=decision_id, at=at, evaluation_time_ns=took_ns)
            kept = self.recorder.record(line)
        except Exception as error:  # noqa: BLE001 - recording never raises into the host
            self._lose(error)
        if not kept:
            ruling = rule_without_record(ruling, governed)
        decision = (PolicyDecision if ruling.allowed else Denial)(
            decision_id,
            self._action(call, request),
            None if ruling.resource is None else self.without_secrets(ruling.resource),
            ruling.mode,
            ruling.verdict,
            ruling.effect,
            ruling.allowed,
            ruling.reason,
            ruling.reason_code,
            ruling.policy_id,
            ruling.rule_id,
            ruling.evaluated_rules,
            took_ns,
            kept,
            self.record_outcome,
        )
        if isinstance(decision, Denial):
            decision.unread = self._unread
            self._denials.add(weakref.ref(decision, self._denials.discard))
        if self._unread or self.later:
            self.note_unread()
        return decision

    def _action(self, call: Call, request: Request | None) -> str:
        """Return the action as a decision shows it: as it was judged, without a secret that stands in it."""
        shown = self.without_secrets(call.action_raw)
        if request is None:
            return shown
        return request.actions[0] if shown == call.action_raw else canonical_action(shown)  # as the record has it

    def _without_verdict(self, governed: Governed, error: Exception) -> Ruling:
        self._say(f"The policy could not be evaluated, so enforce denies and log-only goes ahead: {type(error).__name__}: {error}")
        return rule_without_verdict(governed)

    def _lose(self, error: Exception) -> None:
        self._say(f"A record could not be written and is counted as lost: {type(error).__name__}")
        try:
            self.recorder.lose()
        except Exception as second:  # noqa: BLE001 - the last resort is the log
            self._say(f"Nor could the loss be counted: {type(second).__name__}: {second}")

    def _say(self, sentence: str) -> None:
        if sentence not in self._logged and len(self._logged) < 100:
            self._logged.add(sentence)
            log.error("%s", sentence)


def _check_text(verb: str, part: str, said: object) -> None:
    """Raise TypeError for what is no text: it could not be judged, or not be recorded."""
    if not isinstance(said, str):
        raise TypeError(f"{verb}: the {part} is {type(said).__name__}, expected text")


def _taken(noted: deque[Taken]) -> Iterator[Taken]:
    """Take out what was noted, until nothing is left; another thread may be doing the same."""
    while True:
        try:
            yield noted.popleft()
        except IndexError:
            return


_OPEN: "weakref.WeakSet[Governance]" = weakref.WeakSet()


def _note_living_denials() -> None:
    for governance in list(_OPEN):
        governance.note_living_denials()


atexit.register(_note_living_denials)  # registered after the recorder's, so it runs before that
