"""A trial call: what a policy says of one call that nobody made, and why."""

from dataclasses import dataclass

import msgspec
from markupsafe import Markup

from controlzero import policy
from controlzero.errors import Rejected
from controlzero.policy import Judgement, effect_of, mode_of
from controlzero.records import Mode, Verdict
from dashboards import marks
from dashboards.policy_marks import policy_block
from dashboards.policy_text import Policies, around, policy_lines, rules_of

FACTS_CHARS_MAX = 10_000  # of arguments or context: a call somebody types


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A call as it is typed: `args` and `context` are JSON objects, or nothing."""

    action: str
    resource: str = ""
    agent_id: str = ""
    args: str = ""
    context: str = ""


def judge(policies: Policies, trial: Trial) -> Judgement:
    """Judge the call by the one evaluator. Raises `Rejected` for facts that are no JSON object."""
    context = _facts("Context", trial.context)
    if trial.agent_id:
        context["agent_id"] = trial.agent_id
    compiled = policy.compile([policy.parse(each) for each in policies])
    return compiled.decide(action=trial.action, resource=trial.resource or None, args=_facts("Arguments", trial.args), context=context)


def answer(policies: Policies, judgement: Judgement, *, mode: Mode) -> Markup:
    """Draw what the policy says, which rule decided, and what follows in a project of this mode."""
    verdict: Verdict | None = None if judgement.verdict == "not_replayable" else judgement.verdict
    mode = mode_of(mode, judgement.mode)
    effect, goes_ahead = effect_of(verdict, mode)
    follows = "it would go ahead" if goes_ahead else "it would not go ahead"
    pill = marks.verdict_pill(verdict=judgement.verdict, mode=mode, effect=effect)
    head = marks.said('<div class="cz-verdict">{}<span>{}: {}.</span></div>', pill, marks.mode_pill(mode), follows)
    if judgement.rule is None:
        return marks.said("{}{}", head, marks.quiet(_without_rule(judgement, policies)))
    place = judgement.rule + 1
    of = marks.said("Rule <b>{}</b> ({} of {}) decides: {}", judgement.rule_id, place, len(rules_of(policies)), judgement.reason)
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
