"""Calls that nobody made, judged by policies: what would follow, and nothing recorded."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from controlzero.policy import Policy, effect_of, mode_of
from controlzero.policy import compile as compile_policies
from controlzero.policy.evaluate import Judged
from controlzero.records import Effect, Mode, ReasonCode

CALLS_MAX = 100


class Trial(Struct, frozen=True, kw_only=True):
    """A call, as an agent would ask for it."""

    action: str
    resource: str | None = None
    context: Mapping[str, object] | None = None
    args: Mapping[str, object] | None = None
    tags: Mapping[str, object] | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What the policies say of a call, why, and what would follow in the project."""

    verdict: Judged
    mode: Mode
    effect: Effect
    goes_ahead: bool
    policy_id: str | None
    rule_id: str | None
    evaluated_rules: int
    reason: str
    reason_code: ReasonCode | None


def tried(policies: Sequence[Policy], trials: Sequence[Trial], *, mode: Mode) -> tuple[Verdict, ...]:
    """Judge calls by the one evaluator. Raises `Rejected` for facts that nest too deep."""
    compiled = compile_policies(list(policies))
    found = []
    for trial in trials:
        said = compiled.decide(action=trial.action, resource=trial.resource, context=trial.context, args=trial.args, tags=trial.tags)
        under = mode_of(mode, said.mode)
        effect, goes_ahead = effect_of(None if said.verdict == "not_replayable" else said.verdict, under)
        found.append(
            Verdict(
                verdict=said.verdict,
                mode=under,
                effect=effect,
                goes_ahead=goes_ahead,
                policy_id=said.policy_id,
                rule_id=said.rule_id,
                evaluated_rules=said.evaluated_rules,
                reason=said.reason,
                reason_code=said.reason_code,
            )
        )
    return tuple(found)
