"""Python and Node judge every policy and call alike: verdict, rule, reason and the resource that is recorded."""

from pathlib import Path

import pytest

from controlzero.policy import parse
from controlzero.policy.evaluate import compile_policies
from tests import node_sdk
from tests.property import naive_policy as naive

POLICIES, CALLS_EACH = 1_000, 100
PARTS = 4


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
    answers = node_sdk.ask("judge.js", questions)
    assert len(answers) == len(questions)
    for question, answer in zip(questions, answers, strict=True):
        compiled = compile_policies(parse(question["policy"]))
        for call, said in zip(question["calls"], answer, strict=True):
            assert said == judged(compiled, call), (question["policy"], call)
