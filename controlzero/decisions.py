"""What a caller gets back: the decision, which knows whether anybody looked at it."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controlzero.errors import PolicyDeniedError
from controlzero.records import Effect, Mode, OutcomeStatus, ReasonCode, Verdict

RecordOutcome = Callable[..., None]


class PolicyDecision:
    """One judged and recorded action. `allowed` is what code should test; the decision itself is true when allowed.

    `effect` is what the caller must do, `verdict` what the policy said (None where nothing was evaluated), `mode`
    why they may differ. Times are in nanoseconds.
    """

    __slots__ = (
        "__weakref__",
        "_allowed",
        "_effect",
        "_has_outcome",
        "_is_read",
        "_reason",
        "_record_outcome",
        "_verdict",
        "action",
        "decision_id",
        "evaluated_rules",
        "evaluation_time_ns",
        "is_recorded",
        "mode",
        "policy_id",
        "reason_code",
        "resource",
        "rule_id",
    )

    def __init__(
        self,
        decision_id: str,
        action: str,
        resource: str | None,
        mode: Mode,
        verdict: Verdict | None,
        effect: Effect,
        allowed: bool,  # noqa: FBT001 - made in one place, on the hot path
        reason: str,
        reason_code: ReasonCode | None,
        policy_id: str | None,
        rule_id: str | None,
        evaluated_rules: int,
        evaluation_time_ns: int,
        is_recorded: bool,  # noqa: FBT001
        record_outcome: RecordOutcome,
    ) -> None:
        self.decision_id = decision_id
        self.action = action
        self.resource = resource
        self.mode = mode
        self._verdict = verdict
        self._effect = effect
        self._allowed = allowed
        self._reason = reason
        self.reason_code = reason_code
        self.policy_id = policy_id
        self.rule_id = rule_id
        self.evaluated_rules = evaluated_rules
        self.evaluation_time_ns = evaluation_time_ns
        self.is_recorded = is_recorded
        self._record_outcome = record_outcome
        self._is_read = False
        self._has_outcome = False

    @property
    def allowed(self) -> bool:
        """Whether the action goes ahead."""
        self._is_read = True
        return self._allowed

    @property
    def effect(self) -> Effect:
        """What the caller must do: the verdict under the mode."""
        self._is_read = True
        return self._effect

    @property
    def verdict(self) -> Verdict | None:
        """What the policy said."""
        self._is_read = True
        return self._verdict

    @property
    def reason(self) -> str:
        """Why, in a sentence for a person."""
        self._is_read = True
        return self._reason

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        # without the resource: it may be an argument's value, and a repr ends in logs
        return f"<PolicyDecision {self._effect}: {self.action} ({self.mode}; verdict {self._verdict or 'none'}: {self._reason})>"

    def __reduce__(self) -> tuple[object, ...]:
        """Go to another process as what was decided: its outcome is recorded where it was made, and its resource stays there."""
        return PolicyDecision, (
            self.decision_id,
            self.action,
            None,
            self.mode,
            self._verdict,
            self._effect,
            self._allowed,
            self._reason,
            self.reason_code,
            self.policy_id,
            self.rule_id,
            self.evaluated_rules,
            self.evaluation_time_ns,
            self.is_recorded,
            _recorded_elsewhere,
        )

    def raise_if_denied(self) -> None:
        """Raise `PolicyDeniedError` where the action must not happen; its outcome is then recorded as denied."""
        if not self.allowed:
            self.outcome("denied", carried_out=False)
            raise PolicyDeniedError(f"{self.action} is denied: {self._reason}", decision=self)

    def outcome(
        self,
        status: OutcomeStatus = "ok",
        *,
        carried_out: bool = True,
        error: BaseException | None = None,
        latency_ms: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Record what became of the action. Only the class of an `error` is kept, never its text."""
        self._has_outcome = True
        self._record_outcome(
            self.decision_id,
            carried_out=carried_out,
            status="error" if error is not None and status == "ok" else status,
            error_class=None if error is None else type(error).__qualname__,
            latency_ms=latency_ms,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_usd=cost_usd,
        )

    def finish(
        self,
        error: BaseException | None,
        *,
        latency_ms: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Record the outcome of an action that has ended, unless the caller has said more of it already."""
        if not self._has_outcome:
            is_cancelled = error is not None and not isinstance(error, Exception)  # CancelledError, KeyboardInterrupt and their kin
            self.outcome(
                "cancelled" if is_cancelled else "ok",
                error=error,
                latency_ms=latency_ms,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_usd=cost_usd,
            )


def _recorded_elsewhere(*_: object, **__: object) -> None:
    """Record nothing: this is a copy of a decision that another process made."""


@contextmanager
def carrying_out(decision: PolicyDecision) -> Iterator[PolicyDecision]:
    """Record the outcome of a block that carries out a decision. Raises `PolicyDeniedError` before it."""
    decision.raise_if_denied()
    started = time.perf_counter()
    try:
        yield decision
    except BaseException as error:
        decision.finish(error, latency_ms=since_ms(started))
        raise
    decision.finish(None, latency_ms=since_ms(started))


def since_ms(started: float) -> float:
    """Return the milliseconds since `started`, a `time.perf_counter()`."""
    return round((time.perf_counter() - started) * 1000, 3)


class Denial(PolicyDecision):
    """A denial under enforce, or by an order. Where nobody reads it before it is gone, the action most likely went ahead: that is noted.

    Its end may come at any point of any thread, so it only puts its id where the next record finds it.
    """

    __slots__ = ("unread",)

    unread: deque[str]

    @property
    def is_read(self) -> bool:
        """Whether anybody looked at what was decided."""
        return self._is_read

    def note_if_unread(self) -> None:
        """Put its id among the unread ones, once, unless somebody looked."""
        if not self._is_read:
            self._is_read = True
            self.unread.append(self.decision_id)

    def __del__(self) -> None:
        self.note_if_unread()
