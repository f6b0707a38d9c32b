"""Of random policies, each call that is told shows what it is told for, by the rules read plainly."""

import pytest

from controlzero.policy import parse
from controlzero.policy.examples import remarks
from tests.property import naive_policy as naive

POLICIES = 1_500


@pytest.mark.parametrize("part", range(2))
def test_each_example_shows_what_it_is_told_for(part):
    rng = naive.seeded(f"examples/{part}")
    lost = swapped = 0
    for _ in range(POLICIES):
        rules = naive.a_policy(rng)
        for remark in remarks(parse({"rules": rules})):
            if remark.example is None:
                continue
            call, by = plain(remark.example.call), place_of(remark.example.rule)
            place = place_of(remark.problem.path)
            assert by < place
            assert naive.judge(rules, call) == (rules[by]["effect"], by) == (remark.example.verdict, by), (rules, call)
            assert naive.judge([rules[place]], call)[1] == 0, (rules[place], call)
            moved = [*rules[:by], rules[place], *rules[by:place], *rules[place + 1 :]]
            assert naive.judge(moved, call) == (rules[place]["effect"], by)
            lost += remark.kind == "warning"
            swapped += remark.kind == "note"
            if remark.kind == "note":
                assert rules[place]["effect"] != rules[by]["effect"]
    assert min(lost, swapped) > 50  # both happen, or this compares nothing


def place_of(path):
    return int(path[6:-1])


def plain(call):
    return {
        "action": call.action,
        "resource": call.resource,
        "context": dict(call.context),
        "args": dict(call.args),
        "tags": dict(call.tags),
    }
