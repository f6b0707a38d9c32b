"""Python and Node judge every policy and call alike: verdict, rule, reason and the resource that is recorded."""

from pathlib import Path

import pytest

from controlzero.policy import parse
from controlzero.policy.evaluate import compile_policies
from tests import node_sdk
from tests.property import naive_policy as naive

POLICIES, CALLS_EACH = 1_000, 100
PARTS = 4
LONG_POLICIES = 200


def judged(compiled, call):
    said = compiled.decide(**call)
    return [
        said.verdict, said.rule, said.reason, said.reason_code, said.rule_id, said.evaluated_rules, said.resource, said.resource_claimed,
    ]  # fmt: skip


@pytest.mark.parametrize("part", range(PARTS))
def test_a_hundred_thousand_random_calls_are_judged_alike(sdk: Path, part: int) -> None:
    rng = naive.seeded(f"node/{part}")
    questions = [
        {"policy": {"rules": naive.a_policy(rng)}, "calls": [naive.a_call(rng) for _ in range(CALLS_EACH)]}
        for _ in range(POLICIES // PARTS)
    ]
    assert_agreed(questions)


def test_long_policies_are_judged_alike_whose_rules_are_looked_up_and_not_all_asked(sdk: Path) -> None:
    rng = naive.seeded("node/long")
    questions = [
        {"policy": {"rules": a_long_policy(rng)}, "calls": [naive.a_call(rng) for _ in range(CALLS_EACH)]} for _ in range(LONG_POLICIES)
    ]
    assert min(len(question["policy"]["rules"]) for question in questions) > 30
    decided_by = assert_agreed(questions)
    assert sum(rule is not None and rule >= 30 for rule in decided_by) > len(decided_by) / 10


def a_long_policy(rng):
    """Rules that ask for something: of those that do not, the first would decide everything."""
    rules = [rule for _ in range(40) for rule in naive.a_policy(rng)]
    return [rule for rule in rules if "conditions" in rule and rule.get("resource", "*") != "*"]


def assert_agreed(questions):
    """Ask Node and compare; return the places of the rules that decided."""
    answers = node_sdk.ask("judge.js", questions)
    assert len(answers) == len(questions)
    for question, answer in zip(questions, answers, strict=True):
        compiled = compile_policies(parse(question["policy"]))
        for call, said in zip(question["calls"], answer, strict=True):
            assert said == judged(compiled, call), (question["policy"], call)
    return [said[1] for answer in answers for said in answer]
