"""Judge each decision again: by the project's active bundle and its candidates, through the one evaluator.

What the SDK said stays as it is; the workers' word lands beside it, and where the two cannot both be right that is a finding.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from controlzero.errors import Rejected
from controlzero.policy.evaluate import CompiledPolicy, Judgement
from controlzero.policy.facts import request_of
from controlzero.policy.request import Request
from controlzero.records import ABSENT, Decision
from processors import findings
from processors.flow import Row
from processors.governance import Governance, Governed, InForce
from warehouse.kinds import Finding, Judged

# An agent fetches its bundle every few seconds; one that still judges by another this long after is not just late.
STALE_US_MIN = 60 * 1_000_000
EVALUATED = frozenset({"matched_rule", "default_deny", "malformed_request"})  # the reasons that are a verdict of the rules

UNGOVERNED = Judged(
    judged_verdict=None,
    judged_mode=None,
    judged_reason_code=None,
    judged_policy_id=None,
    judged_rule_id=None,
    judged_rule=None,
    judged_bundle_digest=None,
    not_replayable_key=None,
)


class Judgements(Struct, frozen=True, kw_only=True):
    """What `judge` returns, each list as long as the rows: the workers' word, the active bundle's judgement and what it was asked."""

    judged: list[Judged]
    said: list[Judgement | None]
    asked: list[Request | None]
    findings: list[Finding]


def judge(rows: Sequence[Row], governance: Governance) -> Judgements:
    """Return the workers' word on each row, and the findings where it and the SDK's cannot both be right."""
    judged: list[Judged] = []
    said: list[Judgement | None] = []
    asked: list[Request | None] = []
    noted = _Notes()
    words = _Words()
    for row in rows:
        governed = governance.projects.get(row.place.project_id)
        if governed is None or governed.active is None:
            judgement, request, others = None, None, []
        else:
            request = request_of(row.decision, recorded_under=_recorded_under(row.decision, governance))
            judgement = judgement_of(governed.active.compiled, request)
            others = [(one, judgement_of(one.compiled, request)) for one in governed.candidates]
        drift = () if row.place.backfill or governed is None else drift_kinds(row.decision, governed, judgement)
        if drift:
            noted.note(row, drift, judgement)
        judged.append(words.word(governed, judgement, others, drift))
        said.append(judgement)
        asked.append(request)
    return Judgements(judged=judged, said=said, asked=asked, findings=noted.findings())


def _recorded_under(decision: Decision, governance: Governance) -> CompiledPolicy | None:
    return None if decision.bundle_digest is None else governance.bundle_of(decision.bundle_digest)


def judgement_of(compiled: CompiledPolicy, request: Request) -> Judgement:
    """Judge a request; what cannot be judged at all is denied, as an SDK that enforces would."""
    try:
        return compiled.judge(request)
    except Rejected as error:
        return Judgement(
            verdict="deny",
            policy_id=None,
            rule_id=None,
            reason=str(error),
            reason_code="evaluator_error",
            rule=None,
            evaluated_rules=0,
            resource=None,
        )


def drift_kinds(decision: Decision, governed: Governed, judgement: Judgement | None) -> tuple[str, ...]:
    """Return how a live decision strays from what governs its project now."""
    kinds: list[str] = []
    active = governed.active
    if decision.mode == "off":
        kinds.append("governance_off")
    if active is None or judgement is None:
        return tuple(kinds)
    same_bundle = decision.bundle_digest == active.digest
    if same_bundle and decision.reason_code in EVALUATED and judgement.verdict not in (decision.verdict, "not_replayable"):
        kinds.append("verdict_differs")
    if decision.bundle_digest is not None and not same_bundle and decision.occurred_at > active.issued_at + STALE_US_MIN:
        kinds.append("bundle_stale")
    let_through = judgement.verdict == "deny" and decision.effect != "deny"
    if let_through and governed.mode == "enforce" and decision.occurred_at >= active.issued_at:  # before, another one was in force
        kinds.append("enforcement_gap")
    return tuple(kinds)


class _Words:
    """The workers' words, each made once: few differ."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Judged] = {}

    def word(
        self, governed: Governed | None, judgement: Judgement | None, others: Sequence[tuple[InForce, Judgement]], drift: tuple[str, ...]
    ) -> Judged:
        if governed is None:
            return UNGOVERNED
        if judgement is None:
            key: tuple[object, ...] = (id(governed), drift)
        else:
            other = tuple((said.verdict, said.rule) for _, said in others)
            key = (id(governed), judgement.verdict, judgement.rule, judgement.reason_code, judgement.not_replayable_key, other, drift)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _word(governed, judgement, others, drift)
        return made


def _word(governed: Governed, judgement: Judgement | None, others: Sequence[tuple[InForce, Judgement]], drift: tuple[str, ...]) -> Judged:
    if judgement is None or governed.active is None:
        return msgspec.structs.replace(UNGOVERNED, judged_mode=governed.mode, drift_kinds=drift)
    return Judged(
        judged_verdict=judgement.verdict,
        judged_mode=governed.mode,
        judged_reason_code=judgement.reason_code,
        judged_policy_id=judgement.policy_id,
        judged_rule_id=judgement.rule_id,
        judged_rule=None if judgement.rule is None else judgement.rule + 1,
        judged_bundle_digest=governed.active.digest,
        not_replayable_key=judgement.not_replayable_key,
        candidates=_candidates(others),
        drift_kinds=drift,
    )


def _candidates(others: Sequence[tuple[InForce, Judgement]]) -> Raw:
    """Return the candidates' words by their bundles' digests, as JSON."""
    words = {
        one.digest: {"verdict": said.verdict, "rule_id": said.rule_id, "rule": None if said.rule is None else said.rule + 1}
        for one, said in others
    }
    return Raw(msgspec.json.encode(words)) if words else ABSENT


class _Notes:
    """Findings of drift: one for each decision let through or judged otherwise, one for each agent and message that strays as a whole."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._many: dict[tuple[int, int, str | None, str, str | None], tuple[Row, int]] = {}

    def note(self, row: Row, drift: Iterable[str], judgement: Judgement | None) -> None:
        for kind in drift:
            if kind == "enforcement_gap" and judgement is not None:
                self._findings.append(_let_through(row, judgement))
            elif kind == "verdict_differs" and judgement is not None:
                self._findings.append(_differs(row, judgement))
            else:
                place, decision = row.place, row.decision
                about = (place.log_partition, place.log_offset, decision.agent_id, kind, decision.bundle_digest)
                first, count = self._many.get(about, (row, 0))
                self._many[about] = (first, count + 1)

    def findings(self) -> list[Finding]:
        return self._findings + [_strays(row, kind, count) for (_, _, _, kind, _), (row, count) in self._many.items()]


def _let_through(row: Row, judgement: Judgement) -> Finding:
    return findings.of_decision(
        row,
        type="enforcement_gap",
        detail=row.decision.mode,
        severity="critical",
        message=f"the policy in force denies it ({judgement.rule_id or 'no rule matches'}) and mode is enforce, but the agent's effect was {row.decision.effect}",
    )


def _differs(row: Row, judgement: Judgement) -> Finding:
    return findings.of_decision(
        row,
        type="drift",
        detail="verdict_differs",
        severity="critical",
        message=f"under the same bundle the agent said {row.decision.verdict} ({row.decision.rule_id or 'no rule'}), "
        f"the workers say {judgement.verdict} ({judgement.rule_id or 'no rule'})",
    )


def _strays(row: Row, kind: str, count: int) -> Finding:
    said = {
        "bundle_stale": f"the agent judges by bundle {(row.decision.bundle_digest or '')[:12]}, another one is in force",
        "governance_off": "the agent runs with governance off: its actions are recorded, not judged",
    }
    return findings.of_decision(row, type="drift", detail=kind, severity="warning", message=said[kind], count=count)
