"""Judge each decision again: by the project's active bundle and its candidates, through the one evaluator.

What the SDK said stays as it is; the workers' word lands beside it, and where the two cannot both be right that is a finding.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from controlzero.errors import Rejected
from controlzero.policy.effect import mode_of
from controlzero.policy.evaluate import CompiledPolicy, Judgement
from controlzero.policy.facts import request_of
from controlzero.policy.request import Request
from controlzero.records import ABSENT, Decision, Mode
from processors import findings
from processors.flow import Columns, Row
from processors.governance import Governance, Governed, InForce
from topics.control import OrderRecord
from warehouse.kinds import Finding, Judged, Severity

# An agent fetches its bundle every few seconds; one that still judges by another this long after is not just late.
STALE_US_MIN = 60 * 1_000_000
ORDER_GRACE_US = 5 * 1_000_000  # a connected agent learns of an order within two seconds
EVALUATED = frozenset({"matched_rule", "default_deny", "malformed_request"})  # the reasons that are a verdict of the rules

# The fields of a decision that rules are asked about: what is always, and who where a rule reads it.
WHAT = ("action", "action_raw", "resource", "resource_claimed", "args", "tags", "facts", "redactions")
WHO = ("agent_id", "user_id", "user_group", "session_id")
_in_part = attrgetter(*WHO, "bundle_digest", "reason_code")

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


class Answer(Struct, frozen=True, eq=False):
    """What was asked of a project's bundles, and what they said; the same for all rows with the same facts."""

    request: Request
    said: Judgement  # by the active bundle
    others: tuple[tuple[InForce, Judgement], ...]  # by the candidates
    judged: Judged


class Judgements(Struct, frozen=True, kw_only=True):
    """What `judge` returns: the workers' word on each row, and the answer behind it (None: no policy), in the rows' order."""

    judged: list[Judged]
    answers: list[Answer | None]
    findings: list[Finding]


def judge(rows: Sequence[Row], decisions: Columns, governance: Governance) -> Judgements:
    """Return the workers' word on each row, and the findings where it and the SDK's cannot both be right.

    `decisions` are those of the rows. Agents repeat themselves: what is the same in all that the bundles read is asked once.
    """
    judged: list[Judged] = []
    answers: list[Answer | None] = []
    noted = _Notes()
    by_project = {
        name: _Asked(governance.projects[name], governance) for name in {row.place.project_id for row in rows} & governance.projects.keys()
    }
    abouts = zip(*map(decisions.__getitem__, WHAT), strict=True)
    for row, about in zip(rows, abouts, strict=True):
        asked = by_project.get(row.place.project_id)
        answer = None if asked is None else asked.answer(row.decision, about)
        word = UNGOVERNED if asked is None else asked.unjudged if answer is None else answer.judged
        if asked is not None and not row.place.backfill:
            drift = drift_kinds(row.decision, asked.governed, None if answer is None else answer.said)
            if drift:
                word = replace(word, drift_kinds=drift)
                noted.note(row, drift, answer, asked.governed)
        judged.append(word)
        answers.append(answer)
    return Judgements(judged=judged, answers=answers, findings=noted.findings())


class _Asked:
    """The answers of one project's bundles so far, by the facts they were asked about."""

    def __init__(self, governed: Governed, governance: Governance) -> None:
        self.governed = governed
        self.unjudged = replace(UNGOVERNED, judged_mode=governed.mode)
        self._governance = governance
        self._answers: dict[tuple[object, ...], Answer] = {}
        self._words: dict[tuple[object, ...], Judged] = {}
        bundles = (*((governed.active,) if governed.active else ()), *governed.candidates)
        reads = frozenset[str]().union(*(bundle.compiled.reads for bundle in bundles))
        who = [name for name in WHO if name in reads]
        self._who = attrgetter(*who) if who else None

    def answer(self, decision: Decision, about: tuple[object, ...]) -> Answer | None:
        active = self.governed.active
        if active is None:
            return None
        if self._who is not None:
            about = (about, self._who(decision))
        if decision.redactions or decision.facts is not ABSENT:  # known in part: by what was noted, under which bundle
            about = (about, _in_part(decision))
        known = self._answers.get(about)
        if known is None:
            request = request_of(decision, recorded_under=_recorded_under(decision, self._governance))
            said = judgement_of(active.compiled, request)
            others = tuple((one, judgement_of(one.compiled, request)) for one in self.governed.candidates)
            known = self._answers[about] = Answer(request, said, others, self._word(active, said, others))
        return known

    def _word(self, active: InForce, said: Judgement, others: tuple[tuple[InForce, Judgement], ...]) -> Judged:
        """Return the word for a judgement; few differ, and each is one object, so that columns are made of few."""
        about = (said.verdict, said.rule, said.reason_code, said.not_replayable_key, *((other.verdict, other.rule) for _, other in others))
        made = self._words.get(about)
        if made is None:
            made = self._words[about] = _word(self.governed.mode, active, said, others)
        return made


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
    if decision.bundle_state is not None:
        kinds.append(f"bundle_{decision.bundle_state}")
    if governed.orders and order_passed_over(decision, governed) is not None:
        kinds.append("enforcement_gap")
    if active is None or judgement is None:
        return tuple(kinds)
    same_bundle = decision.bundle_digest == active.digest
    if same_bundle and decision.reason_code in EVALUATED and judgement.verdict not in (decision.verdict, "not_replayable"):
        kinds.append("verdict_differs")
    if decision.bundle_digest is not None and not same_bundle and decision.occurred_at > active.issued_at + STALE_US_MIN:
        kinds.append("bundle_stale")
    let_through = judgement.verdict == "deny" and decision.effect != "deny"
    if (
        let_through and mode_of(governed.mode, judgement.mode) == "enforce" and decision.occurred_at >= active.issued_at
    ):  # before, another one was in force
        kinds.append("enforcement_gap")
    return tuple(dict.fromkeys(kinds))


def order_passed_over(decision: Decision, governed: Governed) -> OrderRecord | None:
    """Return the order in force that should have stopped a decision that went ahead."""
    if decision.effect == "deny" or governed.mode == "off":
        return None
    for order in governed.orders:
        if order.agent_id in (None, decision.agent_id) and decision.occurred_at > order.issued_at + ORDER_GRACE_US:
            return order
    return None


def _word(mode: Mode, active: InForce, said: Judgement, others: Sequence[tuple[InForce, Judgement]]) -> Judged:
    return Judged(
        judged_verdict=said.verdict,
        judged_mode=mode_of(mode, said.mode),
        judged_reason_code=said.reason_code,
        judged_policy_id=said.policy_id,
        judged_rule_id=said.rule_id,
        judged_rule=None if said.rule is None else said.rule + 1,
        judged_bundle_digest=active.digest,
        not_replayable_key=said.not_replayable_key,
        candidates=_candidates(others),
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

    def note(self, row: Row, drift: Iterable[str], answer: Answer | None, governed: Governed) -> None:
        for kind in drift:
            if kind == "enforcement_gap" and (order := order_passed_over(row.decision, governed)) is not None:
                self._findings.append(_despite(row, order))
            elif kind == "enforcement_gap" and answer is not None:
                self._findings.append(_let_through(row, answer.said))
            elif kind == "verdict_differs" and answer is not None:
                self._findings.append(_differs(row, answer.said))
            else:
                place, decision = row.place, row.decision
                about = (place.log_partition, place.log_offset, decision.agent_id, kind, decision.bundle_digest)
                first, count = self._many.get(about, (row, 0))
                self._many[about] = (first, count + 1)

    def findings(self) -> list[Finding]:
        return self._findings + [_strays(row, kind, count) for (_, _, _, kind, _), (row, count) in self._many.items()]


def _despite(row: Row, order: OrderRecord) -> Finding:
    return findings.of_decision(
        row,
        type="enforcement_gap",
        detail="order",
        severity="critical",
        message=f"order {order.order_id} denies it ({order.reason}), but the agent's effect was {row.decision.effect}",
    )


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
    digest = (row.decision.bundle_digest or "")[:12]
    said: Mapping[str, tuple[Severity, str]] = {
        "bundle_stale": ("warning", f"the agent judges by bundle {digest}, another one is in force"),
        "governance_off": ("warning", "the agent runs with governance off: its actions are recorded, not judged"),
        "bundle_unconfirmed": (
            "info",
            f"the agent's server gave no answer, or its client was closed: it judges by bundle {digest}, the last it has",
        ),
        "bundle_expired": ("warning", f"the agent's bundle {digest} is past its age: it does then what the project says"),
        "bundle_rollback_refused": (
            "critical",
            f"the agent is offered an older bundle and refuses it: it judges by {digest}, which it has",
        ),
        "bundle_tampering_refused": (
            "critical",
            f"the agent is offered a bundle changed after signing and refuses it: it judges by {digest}, which it has",
        ),
        "bundle_signature_refused": (
            "critical",
            f"the agent is offered a bundle that no key it trusts signed for this project, and refuses it: it judges by {digest}, which it has",
        ),
    }
    severity, message = said[kind]
    return findings.of_decision(row, type="drift", detail=kind, severity=severity, message=message, count=count)
