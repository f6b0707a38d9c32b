"""A trial call: what a policy says of one call that nobody made, and why."""

from dataclasses import dataclass
from typing import Final

import msgspec
from markupsafe import Markup

from controlzero import policy
from controlzero.errors import Rejected
from controlzero.masking import JSON_BYTES_MAX
from controlzero.policy import Judgement, Request, effect_of, mode_of, request_for_enforce
from controlzero.policy.recorded import with_masks
from controlzero.records import Mode, Verdict
from dashboards import marks
from dashboards.policy_marks import policy_block
from dashboards.policy_text import Policies, around, policy_lines, rules_of

FACTS_CHARS_MAX: Final = JSON_BYTES_MAX  # of arguments or context: what a record holds can be tried again


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A call as it is typed: `args` and `context` are JSON objects, or nothing."""

    action: str
    resource: str = ""
    agent_id: str = ""
    args: str = ""
    context: str = ""


def request_of(trial: Trial) -> Request:
    """Return what the evaluator is asked; a mask in the call stands for a value nobody knows. Raises `Rejected` for facts that are no JSON object."""
    context = _facts("Context", trial.context)
    if trial.agent_id:
        context["agent_id"] = trial.agent_id
    args = _facts("Arguments", trial.args)
    return with_masks(request_for_enforce(trial.action, resource=trial.resource or None, args=args, context=context))


def judge(policies: Policies, request: Request) -> Judgement:
    """Judge a call by the one evaluator. Raises `Rejected` for arguments that nest too deep."""
    return policy.compile([policy.parse(each) for each in policies]).judge(request)


def answer(policies: Policies, judgement: Judgement, *, mode: Mode) -> Markup:
    """Draw what the policy says, which rule decided, and what follows in a project of this mode."""
    verdict: Verdict | None = None if judgement.verdict == "not_replayable" else judgement.verdict
    mode = mode_of(mode, judgement.mode)
    effect, goes_ahead = effect_of(verdict, mode)
    follows = (
        "whether it would go ahead is not known" if verdict is None else "it would go ahead" if goes_ahead else "it would not go ahead"
    )
    pill = marks.verdict_pill(verdict=judgement.verdict, mode=mode, effect=effect)
    head = marks.said('<div class="cz-verdict">{}<span>{}: {}.</span></div>', pill, marks.mode_pill(mode), follows)
    if judgement.rule is None:
        return marks.said("{}{}", head, marks.quiet(marks.sentence(_without_rule(judgement, policies))))
    place = judgement.rule + 1
    of = marks.said(
        "Rule <b>{}</b> ({} of {}) decides: {}", judgement.rule_id, place, len(rules_of(policies)), marks.sentence(judgement.reason)
    )
    return marks.said("{}<p>{}</p>{}", head, of, policy_block(around(policy_lines(policies), place, each_side=2), chosen=place))


def _without_rule(judgement: Judgement, policies: Policies) -> str:
    if judgement.reason_code == "default_deny":
        return f"None of its {len(rules_of(policies))} rules matches, and what no rule matches is denied."
    return f"{judgement.reason}."


def _facts(name: str, text: str) -> dict[str, object]:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise Rejected(f'{name}: expected a JSON object such as {{"amount": 500}}: {error}') from error
