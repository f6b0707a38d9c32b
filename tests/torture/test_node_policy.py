"""A million random calls are judged in Node as the rules read: the naive reference knows neither SDK's evaluator."""

import pytest

from tests import node_sdk
from tests.property import naive_policy as naive

PARTS, POLICIES, CALLS_EACH = 20, 500, 100


@pytest.fixture(scope="module", autouse=True)
def built():
    node_sdk.build()


@pytest.mark.needs("node")
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_random_calls_are_judged_as_the_rules_read(part):
    rng = naive.seeded(f"node torture/{part}")
    questions = [
        {"policy": {"rules": naive.a_policy(rng)}, "calls": [naive.a_call(rng) for _ in range(CALLS_EACH)]} for _ in range(POLICIES)
    ]
    answers = node_sdk.ask("judge.js", questions)
    for question, answer in zip(questions, answers, strict=True):
        for call, said in zip(question["calls"], answer, strict=True):
            verdict, rule, _, reason_code, *_ = said
            place = "malformed" if reason_code == "malformed_request" else rule
            assert (verdict, place) == naive.judge(question["policy"]["rules"], call), (question["policy"], call)
