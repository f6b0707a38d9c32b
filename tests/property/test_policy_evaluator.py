"""The evaluator and a naive reading of the same rules agree on every policy and call."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.policy import Policy, canonical, parse
from controlzero.policy.evaluate import compile_policies
from tests.property import naive_policy as naive

POLICIES, CALLS_EACH = 1_100, 100


def judged(compiled, call):
    judgement = compiled.decide(
        action=call["action"], resource=call["resource"], context=call["context"], args=call["args"], tags=call["tags"]
    )
    place = "malformed" if judgement.reason_code == "malformed_request" else judgement.rule
    return judgement.verdict, place


@pytest.mark.parametrize("part", range(4))
def test_a_hundred_thousand_random_calls_are_judged_as_the_rules_read(part):
    rng = naive.seeded(f"evaluator/{part}")
    matched = defaults = 0
    for _ in range(POLICIES // 4):
        rules = naive.a_policy(rng)
        compiled = compile_policies(parse({"rules": rules}))
        for _ in range(CALLS_EACH):
            call = naive.a_call(rng)
            wanted = naive.judge(rules, call)
            assert judged(compiled, call) == wanted, (rules, call)
            matched += isinstance(wanted[1], int)
            defaults += wanted[1] is None
    assert min(matched, defaults) > POLICIES * CALLS_EACH // 4 // 10  # both happen often, or this compares nothing


@settings(max_examples=200, deadline=None)
@given(st.integers(), st.integers())
def test_one_plan_answers_for_calls_whatever_came_before(policy_seed, call_seed):
    rules = naive.a_policy(naive.seeded(policy_seed))
    compiled = compile_policies(parse({"rules": rules}))
    calls = [naive.a_call(naive.seeded((call_seed, each).__repr__())) for each in range(6)]
    alone = [judged(compile_policies(parse({"rules": rules})), call) for call in calls]
    assert [judged(compiled, call) for call in calls] == alone
    assert [judged(compiled, call) for call in reversed(calls)] == alone[::-1]


@settings(max_examples=200, deadline=None)
@given(st.integers())
def test_the_order_of_arguments_changes_nothing(seed):
    rng = naive.seeded(seed)
    compiled = compile_policies(parse({"rules": naive.a_policy(rng)}))
    call = naive.a_call(rng)
    turned = call | {"args": dict(reversed(call["args"].items()))}
    as_made = compiled.decide(**call)
    assert compiled.decide(**turned) == as_made


@settings(max_examples=200, deadline=None)
@given(st.integers())
def test_a_policy_written_out_and_read_again_is_the_same(seed):
    policy = parse({"name": "p", "rules": naive.a_policy(naive.seeded(seed))})
    assert isinstance(policy, Policy)
    assert parse(canonical(policy)) == policy
    assert canonical(parse(canonical(policy))) == canonical(policy)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab*", max_size=10))
def test_a_glob_matches_what_the_expression_does(pattern, have):
    from controlzero.policy.globs import any_matcher, glob, matcher, matches

    wanted = naive.glob_matches(pattern, have)
    assert matches(glob(pattern), have) is wanted
    assert bool(matcher(glob(pattern))(have)) is wanted
    assert bool(any_matcher([glob(pattern), glob("zzz"), glob("zz*"), glob("*z*z")])(have)) is wanted


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab*", max_size=6), st.lists(st.text(alphabet="ab", max_size=3), min_size=2, max_size=3), st.data())
def test_what_is_said_around_a_hole_holds_whatever_fills_it(pattern, pieces, data):
    from controlzero.policy.globs import glob, matches, matches_around

    filled = pieces[0] + "".join(data.draw(st.text(alphabet="ab*", max_size=4)) + piece for piece in pieces[1:])
    said = matches_around(glob(pattern), pieces)
    assert said is None or matches(glob(pattern), filled) is said
