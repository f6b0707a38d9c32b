"""What guarding one call comes to, free of I/O: judge it under the mode, and say it as a record without personal data."""

from collections.abc import Callable
from typing import Literal

from msgspec import Raw, Struct, structs

from controlzero.masking import Masking
from controlzero.orders import Order, concerning
from controlzero.policy import CompiledPolicy, Request, effect_of, mode_of
from controlzero.policy.canonical import text
from controlzero.policy.facts import record_facts
from controlzero.policy.request import canonical_action
from controlzero.records import (
    ABSENT,
    ASKED_CHARS_MAX,
    NAME_CHARS_MAX,
    TEXT_CHARS_MAX,
    BundleState,
    Decision,
    Effect,
    Mode,
    ReasonCode,
    Redaction,
    Verdict,
    encode_record,
)
from controlzero.version import __version__

OFF_REASON = "governance is off; nothing was evaluated"
STALE_REASON = "the bundle is past its age, and the project says to deny then"
ERROR_REASON = "the policy could not be evaluated"
UNRECORDABLE_REASON = "the decision could not be recorded, and the project says no action without a record"
SDK = f"controlzero-python/{__version__}"
NOTHING_ASKED = Request((), "")


class Governed(Struct, frozen=True, kw_only=True):
    """What a client judges by at this moment."""

    compiled: CompiledPolicy
    masking: Masking
    project_id: str
    mode: Mode
    bundle_digest: str
    expires_at: int | None = None
    on_stale: Literal["keep", "deny"] = "keep"
    on_unrecordable: Literal["go_on", "deny"] = "go_on"
    bundle_state: BundleState | None = None  # None: its server says that it is in force
    orders: tuple[Order, ...] = ()  # in force, those that concern the project


class Call(Struct, frozen=True):
    """What the caller said of one call, beside what is judged of it."""

    action_raw: str
    tool: str | None = None
    method: str | None = None
    text: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    environment: str | None = None


class Ruling(Struct, frozen=True, gc=False):
    """What follows from a judgement under a mode. `verdict` is the policy's own word, None where it had none."""

    mode: Mode
    verdict: Verdict | None
    effect: Effect
    allowed: bool
    reason: str
    reason_code: ReasonCode | None
    policy_id: str | None = None
    rule_id: str | None = None
    evaluated_rules: int = 0
    resource: str | None = None
    resource_claimed: bool = True


def rule_on(governed: Governed, request: Request, *, at: int) -> Ruling:
    """Judge a request under the mode in force at `at` (microseconds). Raises whatever the evaluator raises."""
    mode = governed.mode
    if mode == "off":
        return Ruling(mode, None, "allow", allowed=True, reason=OFF_REASON, reason_code="governance_off", resource=request.resource)  # type: ignore[arg-type]  # nothing is masked yet
    judged = governed.compiled.judge(request)
    verdict: Verdict = judged.verdict  # type: ignore[assignment]  # nothing is masked yet, so it is never `not_replayable`
    if judged.mode is not None:
        mode = mode_of(mode, judged.mode)
    effect, allowed = effect_of(verdict, mode)
    reason, code = judged.reason, judged.reason_code
    if governed.on_stale == "deny" and is_expired(governed, at=at):
        mode = governed.mode
        effect, allowed = effect_of("deny", mode)
        reason, code = STALE_REASON, "stale_bundle"
    return Ruling(
        mode,
        verdict,
        effect,
        allowed,
        reason,
        code,
        judged.policy_id,
        judged.rule_id,
        judged.evaluated_rules,
        judged.resource,
        judged.resource_claimed,
    )


def is_expired(governed: Governed, *, at: int) -> bool:
    """Tell whether what judges is past its age at `at` (microseconds)."""
    return governed.expires_at is not None and at >= governed.expires_at


def rule_without_verdict(governed: Governed) -> Ruling:
    """Return what follows where the evaluator failed: enforce denies, log-only goes ahead."""
    effect, allowed = effect_of("deny", governed.mode)
    return Ruling(governed.mode, None, effect, allowed, ERROR_REASON, "evaluator_error")


def rule_under_orders(ruling: Ruling, governed: Governed, agent_of: Callable[[], object]) -> Ruling:
    """Return what follows where orders are in force: one that concerns the agent denies in every mode but `off`; the verdict stays."""
    if governed.mode == "off" or not governed.orders:
        return ruling
    order: Order | None
    try:
        agent_id = agent_of()
        name = "" if agent_id is None else text(agent_id)
        order = concerning(governed.orders, {name, governed.masking.text(name, "agent_id", NAME_CHARS_MAX, [])})
    except Exception:  # noqa: BLE001 - who cannot be told from an agent that is stopped is stopped
        order = governed.orders[0]
    return ruling if order is None else structs.replace(ruling, effect="deny", allowed=False, reason=order.reason, reason_code="order")


def rule_without_record(ruling: Ruling, governed: Governed) -> Ruling:
    """Return what follows where the decision could not be recorded, which the project may not stand."""
    if governed.on_unrecordable == "go_on" or not ruling.allowed:
        return ruling
    effect, allowed = effect_of("deny", governed.mode)
    return (
        ruling
        if allowed
        else structs.replace(
            ruling, mode=governed.mode, effect=effect, allowed=False, reason=UNRECORDABLE_REASON, reason_code="unrecordable"
        )
    )


def decision_line(
    governed: Governed,
    call: Call,
    request: Request | None,
    ruling: Ruling,
    *,
    decision_id: str,
    at: int,
    evaluation_time_ns: int,
) -> bytes:
    """Return the record of a decision as JSON text, every word of the caller masked."""
    masking, receipts = governed.masking, list[Redaction]()
    said = masking.text
    asked = NOTHING_ASKED if request is None else request
    action_raw = said(call.action_raw, "action", ASKED_CHARS_MAX, receipts)  # the canonical form would hide an address: no dots
    canonical = asked.actions[0] if action_raw == asked.action_raw else canonical_action(action_raw)
    action = said(canonical, "action", ASKED_CHARS_MAX, receipts)
    resource, agent_id, user_id = ruling.resource, asked.agent_id, asked.user_id
    user_group, session_id = asked.user_group, asked.session_id
    args, args_digest = masking.args(asked.args, receipts) if asked.args else (ABSENT, None)
    decision = Decision(
        decision_id=decision_id,
        occurred_at=at,
        action=action,
        mode=ruling.mode,
        effect=ruling.effect,
        reason_code=ruling.reason_code,
        verdict=ruling.verdict,
        environment=None if call.environment is None else said(call.environment, "environment", NAME_CHARS_MAX, receipts),
        agent_id=None if agent_id is None else said(text(agent_id), "agent_id", NAME_CHARS_MAX, receipts),
        user_id=None if user_id is None else said(text(user_id), "user_id", NAME_CHARS_MAX, receipts),
        user_group=None if user_group is None else said(text(user_group), "user_group", NAME_CHARS_MAX, receipts),
        session_id=None if session_id is None else said(text(session_id), "session_id", NAME_CHARS_MAX, receipts),
        trace_id=None if call.trace_id is None else said(call.trace_id, "trace_id", NAME_CHARS_MAX, receipts),
        span_id=None if call.span_id is None else said(call.span_id, "span_id", NAME_CHARS_MAX, receipts),
        tags=masking.tags(asked.tags, receipts) if asked.tags else ABSENT,
        action_raw=None if action_raw == action else action_raw,
        resource=None if resource is None else said(resource, "resource", ASKED_CHARS_MAX, receipts),
        resource_claimed=ruling.resource_claimed,
        tool=None if call.tool is None else said(call.tool, "tool", ASKED_CHARS_MAX, receipts),
        method=None if call.method is None else said(call.method, "method", ASKED_CHARS_MAX, receipts),
        args=args,
        args_digest=args_digest,
        text=None if call.text is None else said(call.text, "text", TEXT_CHARS_MAX, receipts),
        policy_id=ruling.policy_id,
        rule_id=ruling.rule_id,
        reason=said(ruling.reason, "reason", TEXT_CHARS_MAX, receipts),
        bundle_digest=governed.bundle_digest,
        bundle_state=governed.bundle_state if governed.expires_at is None else _bundle_state(governed, at=at),
        evaluated_rules=ruling.evaluated_rules,
        evaluation_time_ns=evaluation_time_ns,
        sdk=SDK,
        facts=_facts(governed, asked, receipts),
        redactions=tuple(receipts),
    )
    return encode_record(decision)


def _bundle_state(governed: Governed, *, at: int) -> BundleState | None:
    """Say the gravest of what is to be said of the bundle that judges."""
    state = governed.bundle_state
    return "expired" if state in (None, "unconfirmed") and is_expired(governed, at=at) else state


def _facts(governed: Governed, request: Request, receipts: list[Redaction]) -> Raw:
    """Return what must be kept beside the record so that the same bundle judges it alike, masks or not."""
    facts = record_facts(governed.compiled, request, receipts, governed.masking.masked)
    return ABSENT if facts == b"null" else Raw(facts)
