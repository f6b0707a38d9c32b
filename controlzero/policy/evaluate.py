"""The one evaluator: a bundle compiled and indexed, and the judgement of one request; first match wins, none is a deny."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from controlzero.policy.canonical import is_scalar, text
from controlzero.policy.conditions import Answer, Condition, Test, answer_of, compile_condition, glob_test
from controlzero.policy.globs import Glob, Matcher, any_matcher, glob, matches_around
from controlzero.policy.index import Entry, Indexed, RuleIndex
from controlzero.policy.model import Policy, Rule, RuleMode
from controlzero.policy.parse import Source, parse_all
from controlzero.policy.request import MCP_CALL, Masked, Request, canonical_action, is_malformed, request_for_enforce
from controlzero.policy.resources import Resources, compile_resources, named_resource, resource_answer
from controlzero.records import ReasonCode, Verdict

PLANS_MAX = 4_096  # actions whose rules are kept ready; past it all are found anew, a model must not fill memory with names
DEFAULT_REASON = "no rule matched; the default is deny"
MALFORMED_REASON = "the action or the resource holds control, zero-width or bidi characters or a `..` segment; send plain names"
Judged = Literal["allow", "deny", "warn", "audit", "not_replayable"]


class Judgement(Struct, frozen=True, gc=False):
    """What the policy says of one request, and why.

    `rule` is the deciding rule's place in the bundle, from 0; `evaluated_rules` its place from 1, or the number of all
    where none decided. `resource` is whole: whoever records it redacts it. A verdict `not_replayable` names the key of
    the fact that was masked and could have decided. `mode` is the deciding rule's own, where it only logs.
    """

    verdict: Judged
    policy_id: str | None
    rule_id: str | None
    reason: str
    reason_code: ReasonCode | None
    rule: int | None
    evaluated_rules: int
    resource: str | None
    resource_claimed: bool = True
    not_replayable_key: str | None = None
    mode: RuleMode | None = None


class CompiledRule(Struct, frozen=True):
    """A rule at its place in the bundle, ready to be asked."""

    place: int
    policy_id: str
    rule_id: str
    rule: Rule
    effect: Verdict
    reason: str
    mode: RuleMode | None
    is_deny: bool
    action_globs: tuple[Glob, ...]
    resources: Resources
    conditions: tuple[Condition, ...]
    answers: tuple[Callable[[Request], Answer], ...]

    @property
    def reads(self) -> frozenset[str]:
        """The facts it reads: keys of conditions, `resource`, and arguments offered as resources (`args.*`: any of them)."""
        return frozenset(condition.key for condition in self.conditions) | _resource_reads(self.resources)


class Plan(Struct, frozen=True):
    """The rules that an action meets, in order, and their resources indexed."""

    places: tuple[int, ...]
    index: RuleIndex
    keys: frozenset[str]  # of arguments that some resource pattern could meet
    is_loose: bool  # some pattern could meet an argument of any key
    reads: frozenset[str]
    is_suspicious: bool = False  # the action may be malformed


class CompiledPolicy:
    """A bundle's policies as one ordered list of rules, ready to judge. Safe to share between threads."""

    def __init__(self, policies: Iterable[Policy], *, reads: Iterable[str] = ()) -> None:
        self.policies = tuple(policies)
        self.rules = tuple(_compiled(self.policies))
        self.reads = frozenset(reads).union(*(rule.reads for rule in self.rules))
        self.sorted_reads = tuple(sorted(self.reads))
        self._literal_actions: dict[str, list[int]] = {}
        self._action_globs: list[tuple[int, Matcher]] = []
        for rule in self.rules:
            for each in rule.action_globs:
                if each.is_literal:
                    self._literal_actions.setdefault(each.head, []).append(rule.place)
            others = [each for each in rule.action_globs if not each.is_literal]
            if others:
                self._action_globs.append((rule.place, any_matcher(others)))
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._indexed: dict[tuple[int, ...], Plan] = {}
        self._patterns: dict[str, tuple[Test, ...]] = {}

    def decide(
        self,
        *,
        action: str,
        resource: str | None = None,
        context: Mapping[str, object] | None = None,
        args: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> Judgement:
        """Judge one action by name, such as `decide(action="llm.generate", resource="model/gpt-5.4")`."""
        return self.judge(request_for_enforce(action, resource=resource, context=context, args=args, tags=tags))

    def judge(self, request: Request) -> Judgement:
        """Judge one request. Raises `Rejected` for arguments that nest too deep to be judged."""
        plan = self._plans.get(request.actions)
        if plan is None:
            plan = self.plan(request.actions)
        if (plan.is_suspicious and is_malformed(request.action_raw)) or request.is_malformed:
            return self._malformed(request)
        resource = request.resource
        if resource.__class__ is str and is_malformed(resource):
            return self._malformed(request)
        if request.masked or request.reached is not None:
            return self._judge_in_turn(request, plan)
        args = request.args
        if args and (plan.is_loose or not plan.keys.isdisjoint(args)):
            return self._judge_offers(request, plan, resource)  # type: ignore[arg-type]  # nothing is masked
        return self._judge_entries(plan.index.entries(resource, request), request, plan, resource)  # type: ignore[arg-type]

    def _judge_entries(self, entries: Iterable[Entry], request: Request, plan: Plan, offered: str | None) -> Judgement:
        """Judge by the rules that a request may meet. `offered` is what their checks are about, if it is one text."""
        rules = self.rules
        for place, check in entries:
            if check is not None and not check(offered):  # type: ignore[arg-type]  # without a text no entry has a check
                continue
            rule = rules[place]
            for answer in rule.answers:
                holds = answer(request)
                if not holds:
                    if holds is None:
                        return self._judge_in_turn(request, plan)
                    break
            else:
                if request.resource is not None:
                    return _matched(rule, request.resource, is_claimed=True)  # type: ignore[arg-type]  # nothing is masked
                if offered is not None and not rule.resources.everything:
                    return _matched(rule, offered, is_claimed=False)
                return _matched(rule, named_resource(rule.resources, request), is_claimed=False)
        return self._default(request)

    def _judge_offers(self, request: Request, plan: Plan, explicit: str | None) -> Judgement:
        """Judge a request whose arguments may offer resources that rules are about."""
        texts = [] if explicit is None else [explicit]
        keys, is_loose = plan.keys, plan.is_loose
        for key, value in request.args.items():
            if (is_loose or key in keys) and value is not None and "/" not in key:
                if value.__class__ is not str and not is_scalar(value):
                    return self._judge_in_turn(request, plan)
                offered = f"{key}/{text(value)}"
                if offered != explicit:  # a wrapped client names its model twice
                    texts.append(offered)
        entries = plan.index.entries
        if len(texts) < 2:
            only = texts[0] if texts else None
            return self._judge_entries(entries(only, request), request, plan, only)
        met = {place for each in texts for place, check in entries(each, request) if check is None or check(each)}
        return self._judge_entries([(place, None) for place in sorted(met)], request, plan, None)

    def _judge_in_turn(self, request: Request, plan: Plan) -> Judgement:
        """Judge by asking each rule all there is to ask: where lists, objects or masked facts are in play."""
        is_hidden = "action" in request.masked or "alias" in request.masked
        for rule in self.rules if is_hidden else map(self.rules.__getitem__, plan.places):
            hidden = _hidden_action(rule, request) if is_hidden else ""
            if hidden is None:
                continue
            met, hides = resource_answer(rule.resources, request, is_deny=rule.is_deny)
            if met is False:
                continue
            hidden = hidden or hides
            for condition in rule.conditions:
                holds = answer_of(condition, request)
                if holds is False:
                    break
                if holds is None:
                    hidden = hidden or condition.key
            else:
                if hidden:
                    return _not_replayable(rule, hidden, _explicit(request))
                return self._matched_in_turn(rule, request)
        return self._default(request)

    def _matched_in_turn(self, rule: CompiledRule, request: Request) -> Judgement:
        explicit = _explicit(request)
        if explicit is not None:
            return _matched(rule, explicit, is_claimed=True)
        return _matched(rule, named_resource(rule.resources, request), is_claimed=False)

    def _default(self, request: Request) -> Judgement:
        explicit = _explicit(request)
        if explicit is not None:
            return Judgement("deny", None, None, DEFAULT_REASON, "default_deny", None, len(self.rules), explicit)
        named = named_resource(None, request)
        return Judgement("deny", None, None, DEFAULT_REASON, "default_deny", None, len(self.rules), named, resource_claimed=False)

    def _malformed(self, request: Request) -> Judgement:
        explicit = _explicit(request)
        return Judgement("deny", None, None, MALFORMED_REASON, "malformed_request", None, 0, explicit, explicit is not None)

    def plan(self, actions: tuple[str, ...]) -> Plan:
        """Return the rules that these actions meet; found once and kept."""
        found = {place for action in actions for place in self._literal_actions.get(action, ())}
        found.update(place for place, passes in self._action_globs if any(map(passes, actions)))
        places = tuple(sorted(found))
        shared = self._indexed.get(places)
        if shared is None:
            rules = [self.rules[place] for place in places]
            index = RuleIndex(Indexed(rule.place, rule.resources, rule.conditions) for rule in rules)
            reads = frozenset[str]().union(*(rule.reads for rule in rules))
            shared = Plan(places, index, index.keys, index.is_loose, reads)
        is_suspicious = any(is_malformed(action) or "::" in action.split("/") for action in actions)
        plan = msgspec.structs.replace(shared, is_suspicious=is_suspicious)
        if len(self._plans) >= PLANS_MAX:
            self._plans.clear()
            self._indexed.clear()
        self._indexed[places] = shared
        self._plans[actions] = plan
        return plan

    def patterns(self, key: str) -> tuple[Test, ...]:
        """Return every test that the bundle's rules ask of a key (`resource`: of offered resources), in their order, each once.

        Facts number them by this order, so it must never change for a given bundle.
        """
        known = self._patterns.get(key)
        if known is None:
            known = self._patterns[key] = self._tests(key)
        return known

    def _tests(self, key: str) -> tuple[Test, ...]:
        tests: dict[str, Test] = {}
        for rule in self.rules:
            if key == "resource" and not rule.resources.everything:
                for each in rule.resources.globs:
                    if each.pattern not in tests:
                        tests[each.pattern] = glob_test(each.pattern)
            for condition in rule.conditions:
                if condition.key == key:
                    for test in (test for tests_of_one in condition.alternatives for test in tests_of_one):
                        tests.setdefault(test.name, test)
        return tuple(tests.values())


def compile_policies(
    policies: Policy | str | bytes | Mapping[str, object] | Sequence[Policy | Source], *, reads: Iterable[str] = ()
) -> CompiledPolicy:
    """Compile policies, parsed or not, in their order. `reads` are further keys whose facts are to be recorded.

    Raises `PolicyError` with every problem of the first policy that cannot be taken, or where two have one name.
    """
    several = [policies] if isinstance(policies, (Policy, str, bytes, Mapping)) else policies
    return CompiledPolicy(parse_all(several), reads=reads)


def _compiled(policies: Iterable[Policy]) -> Iterable[CompiledRule]:
    place = 0
    for policy in policies:
        for number, rule in enumerate(policy.rules, 1):
            is_deny = rule.effect == "deny"
            conditions = tuple(compile_condition(key, wanted, is_deny=is_deny) for key, wanted in rule.conditions.items())
            rule_id = rule.id or f"{policy.name}#{number}"
            yield CompiledRule(
                place=place,
                policy_id=policy.name,
                rule_id=rule_id,
                rule=rule,
                effect=rule.effect,
                reason=rule.reason or f"rule `{rule_id}` of policy `{policy.name}` says {rule.effect}",
                mode=rule.mode,
                is_deny=is_deny,
                action_globs=tuple(glob(canonical_action(pattern)) for pattern in rule.action),
                resources=compile_resources([glob(pattern) for pattern in rule.resource]),
                conditions=conditions,
                answers=tuple(condition.answer for condition in conditions),
            )
            place += 1


def _matched(rule: CompiledRule, resource: str | None, *, is_claimed: bool) -> Judgement:
    place = rule.place
    return Judgement(
        rule.effect, rule.policy_id, rule.rule_id, rule.reason, "matched_rule", place, place + 1, resource, is_claimed, None, rule.mode
    )


def _not_replayable(rule: CompiledRule, key: str, explicit: str | None) -> Judgement:
    reason = f"`{key}` is masked, and rule `{rule.rule_id}` reads it: what it would have said is not known"
    return Judgement("not_replayable", None, None, reason, None, None, rule.place + 1, explicit, explicit is not None, key)


def _explicit(request: Request) -> str | None:
    resource = request.resource
    return "*".join(resource.pieces) if isinstance(resource, Masked) else resource


def _hidden_action(rule: CompiledRule, request: Request) -> str | None:
    """Return "" if the rule is about the action for sure, the key that hides it if that is unknown, None if it is not."""
    pieces = request.masked["action"].pieces if "action" in request.masked else request.actions[:1]
    answers = [matches_around(each, pieces) for each in rule.action_globs]
    if True in answers or any(map(any_matcher(rule.action_globs), request.actions[1:])):
        return ""
    if "alias" in request.masked and any_matcher(rule.action_globs)(MCP_CALL):
        return "resource"
    return "action" if None in answers else None


def _resource_reads(resources: Resources) -> frozenset[str]:
    if resources.everything:
        return frozenset()
    reads = {"resource"}
    for each in resources.globs:
        key, slash, _ = each.head.partition("/")
        if slash or not each.is_literal:
            reads.add(f"args.{key}" if slash else "args.*")
    return frozenset(reads)
