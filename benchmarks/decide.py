"""One decision: `decide()` with 100 rules against Cedar's batch and a plain fnmatch loop, and 10,000 rules against 10."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import cedarpy

from benchmarks.measure import Result, in_turn, seconds
from controlzero.policy import CompiledPolicy, parse
from controlzero.policy.evaluate import compile_policies

RULES = 100
REPEAT = 20  # passes over all calls in one round
Rule = dict[str, Any]
Call = dict[str, Any]


def run(rounds: int) -> list[Result]:
    """Measure; each figure is microseconds per decision, the deciding rules spread evenly over the policy."""
    results: list[Result] = []
    for name, rules, calls, cedar_rules, cedar_calls in (_by_resource(), _by_agent()):
        decide = compile_policies(parse({"name": "bench", "rules": rules})).decide
        assert [decide(**call).rule for call in calls] == list(range(RULES))
        results += [
            _against_cedar(name, decide, calls, cedar_rules, cedar_calls, rounds),
            _against_a_loop(name, decide, calls, rules, rounds),
        ]
    return [*results, _many_rules(rounds)]


def _by_resource() -> tuple[str, list[Rule], list[Call], list[str], list[dict[str, Any]]]:
    """100 rules over ten actions, each for a folder and a team."""
    effects = ["deny" if place % 4 == 0 else "allow" for place in range(RULES)]
    rules = [
        {"effect": effect, "action": f"tool{place % 10}:run", "resource": f"project/p{place}/*", "conditions": {"agent_id": "team-*"}}
        for place, effect in enumerate(effects)
    ]
    calls = [
        {"action": f"tool{place % 10}:run", "resource": f"project/p{place}/notes", "context": {"agent_id": "team-a"}}
        for place in range(RULES)
    ]
    cedar = [
        f'{"forbid" if effect == "deny" else "permit"}(principal, action == Action::"tool{place % 10}:run", resource) '
        f'when {{ context.resource like "project/p{place}/*" && context.agent_id like "team-*" }};'
        for place, effect in enumerate(effects)
    ]
    return "100 rules that differ in resource", rules, calls, cedar, _cedar_calls(calls)


def _by_agent() -> tuple[str, list[Rule], list[Call], list[str], list[dict[str, Any]]]:
    """100 rules of one action and resource, each for one agent."""
    rules = [
        {"effect": "allow", "action": "llm:generate", "resource": "model/gpt-5.4", "conditions": {"agent_id": f"agent-{place}"}}
        for place in range(RULES)
    ]
    calls = [{"action": "llm.generate", "resource": "model/gpt-5.4", "context": {"agent_id": f"agent-{place}"}} for place in range(RULES)]
    cedar = [
        f'permit(principal == Agent::"agent-{place}", action == Action::"llm.generate", resource == Resource::"model/gpt-5.4");'
        for place in range(RULES)
    ]
    return "100 rules that differ in agent", rules, calls, cedar, _cedar_calls(calls)


def _cedar_calls(calls: list[Call]) -> list[dict[str, Any]]:
    return [
        {
            "principal": {"type": "Agent", "id": call["context"]["agent_id"]},
            "action": {"type": "Action", "id": call["action"]},
            "resource": {"type": "Resource", "id": call["resource"]},
            "context": {"resource": call["resource"], "agent_id": call["context"]["agent_id"]},
        }
        for call in calls
    ]


def _against_cedar(
    name: str, decide: Callable[..., Any], calls: list[Call], rules: list[str], requests: list[dict[str, Any]], rounds: int
) -> Result:
    policies = cedarpy.PolicySet.from_str("\n".join(rules))
    entities = cedarpy.Entities.from_json_str("[]")
    answers = cedarpy.is_authorized_batch(requests, policies, entities)
    assert [answer.allowed for answer in answers] == [decide(**call).verdict == "allow" for call in calls]
    ours, cedar = in_turn(
        lambda: seconds(lambda: _all(decide, calls), repeat=REPEAT) / RULES * 1e6,
        lambda: seconds(lambda: cedarpy.is_authorized_batch(requests, policies, entities)) / RULES * 1e6,
        rounds,
    )
    return Result(
        name=f"{name}: cedarpy's batch", ours=ours, reference=cedar, ratio=cedar / ours, bar=20, unit="µs", note="ratio: times faster"
    )


def _against_a_loop(name: str, decide: Callable[..., Any], calls: list[Call], rules: list[Rule], rounds: int) -> Result:
    def loop(action: str, resource: str, context: dict[str, str]) -> tuple[str, int] | None:
        for place, rule in enumerate(rules):
            if (
                fnmatchcase(action, rule["action"])
                and fnmatchcase(resource, rule["resource"])
                and all(key in context and fnmatchcase(context[key], wanted) for key, wanted in rule["conditions"].items())
            ):
                return rule["effect"], place
        return None

    spelled = [call | {"action": call["action"].replace(".", ":")} for call in calls]
    assert [found and found[1] for found in (loop(**call) for call in spelled)] == list(range(RULES))
    ours, plain = in_turn(
        lambda: seconds(lambda: _all(decide, calls), repeat=REPEAT) / RULES * 1e6,
        lambda: seconds(lambda: _all(loop, spelled), repeat=REPEAT // 4) / RULES * 1e6,
        rounds,
    )
    return Result(
        name=f"{name}: an fnmatch loop", ours=ours, reference=plain, ratio=plain / ours, bar=3, unit="µs", note="ratio: times faster"
    )


def _many_rules(rounds: int) -> Result:
    """10,000 rules of literal actions and prefix resources against 10 such, the deciding ones spread evenly over both."""
    (few, few_calls), (many, many_calls) = _spread(10), _spread(10_000)
    ours, reference = in_turn(
        lambda: seconds(lambda: _all(many.decide, many_calls), repeat=REPEAT) / len(many_calls) * 1e6,
        lambda: seconds(lambda: _all(few.decide, few_calls), repeat=REPEAT * 10) / len(few_calls) * 1e6,
        rounds,
    )
    return Result(
        name="10,000 rules against 10",
        ours=ours,
        reference=reference,
        ratio=ours / reference,
        bar=2,
        unit="µs",
        higher_is_better=False,
        note="literal actions, prefix resources; ratio: times slower",
    )


def _spread(count: int) -> tuple[CompiledPolicy, list[Call]]:
    rules = [{"effect": "allow", "action": f"tool{place % 5}:run", "resource": f"folder/{place:05}/*"} for place in range(count)]
    places = range(0, count, max(1, count // 100))
    calls = [{"action": f"tool{place % 5}:run", "resource": f"folder/{place:05}/file"} for place in places]
    compiled = compile_policies(parse({"name": "spread", "rules": rules}))
    assert [compiled.decide(**call).rule for call in calls] == list(places)
    return compiled, calls


def _all(judge: Callable[..., Any], calls: list[Call]) -> None:
    for call in calls:
        judge(**call)
