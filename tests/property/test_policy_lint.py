"""Of random policies, no rule said never to decide ever decides, and none that denies everything lets a call through."""

import pytest

from controlzero.policy import compile as compile_policy
from controlzero.policy import denies_everything, lint, parse
from tests.property import naive_policy as naive

POLICIES, CALLS_EACH = 1_500, 100


@pytest.mark.parametrize("part", range(2))
def test_a_rule_said_never_to_decide_never_does(part):
    rng = naive.seeded(f"lint/{part}")
    told = closed = 0
    for _ in range(POLICIES):
        rules = naive.a_policy(rng)
        policy = parse({"rules": rules})
        silent = {int(warning.path[6:-1]) for warning in lint(policy) if "never decide" in warning.message}
        is_closed = denies_everything(policy)
        told += len(silent)
        closed += is_closed
        for place in silent:
            # Rules with conditions before it are left out: only what is said to cover it may stand in its way.
            kept = [rule for number, rule in enumerate(rules[: place + 1]) if number == place or not rule.get("conditions")]
            compiled = compile_policy(parse({"rules": kept}))
            for _ in range(CALLS_EACH):
                call = naive.a_call(rng)
                assert judged(compiled, call).rule != len(kept) - 1, (kept, call)
        if is_closed:
            compiled = compile_policy(policy)
            assert {judged(compiled, naive.a_call(rng)).verdict for _ in range(CALLS_EACH)} <= {"deny"}
    assert min(told, closed) > 10  # both happen, or this compares nothing


def judged(compiled, call):
    return compiled.decide(action=call["action"], resource=call["resource"], context=call["context"], args=call["args"], tags=call["tags"])
