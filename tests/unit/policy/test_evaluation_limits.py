"""Hostile input to the evaluator: it stays fast, bounded and whole."""

import time

import pytest

from controlzero.errors import Rejected
from controlzero.policy import parse
from controlzero.policy.evaluate import PLANS_MAX, compile_policies
from controlzero.policy.globs import glob, matches
from controlzero.policy.index import KEPT_MAX
from controlzero.policy.request import _ACTIONS, ACTIONS_MAX, request_for_enforce


def seconds(call):
    """Return the time of this thread's own work: what else the machine does is not the evaluator's."""
    started = time.thread_time()
    call()
    return time.thread_time() - started


def test_a_hostile_glob_takes_time_in_proportion_to_the_text():
    wanted = glob("*a" * 500 + "*b")
    short, long = "a" * 20_000, "a" * 200_000
    assert matches(wanted, long + "b")
    assert not matches(wanted, long)
    quick = min(seconds(lambda: matches(wanted, short)) for _ in range(5))
    assert min(seconds(lambda: matches(wanted, long)) for _ in range(5)) < 50 * quick + 0.05


def test_hostile_globs_in_a_policy_do_not_hold_up_a_decision():
    text = "a" * 4_000
    compiled = compile_policies(
        {
            "rules": [
                {"effect": "deny", "action": "*a" * 100 + "*c", "resource": "*a" * 100 + "*d", "conditions": {"args.x": "*a" * 100 + "*e"}}
            ]
            * 50
        }
    )
    assert seconds(lambda: compiled.decide(action=text, resource=text, args={"x": text})) < 0.5


def test_invented_actions_do_not_fill_memory():
    compiled = compile_policies({"rules": [{"effect": "allow", "action": "known:*"}]})
    for number in range(PLANS_MAX * 2 + 10):
        compiled.decide(action=f"invented{number}:x")
    assert len(compiled._plans) <= PLANS_MAX
    assert len(_ACTIONS) <= ACTIONS_MAX
    assert compiled.decide(action="known:x").verdict == "allow"


def test_prefixes_that_nest_cost_no_square():
    rules = [{"effect": "allow", "action": "*", "resource": "a" * length + "*", "conditions": {"tier": "x"}} for length in range(1, 700)]
    compiled = compile_policies({"rules": rules})
    for length in range(1, 700):
        assert compiled.decide(action="x", resource="a" * length, context={"tier": "x"}).rule == 0
    assert compiled.plan(("x",)).index._kept <= KEPT_MAX


def test_arguments_too_deep_to_judge_are_refused():
    compiled = compile_policies({"rules": [{"effect": "deny", "action": "*", "resource": "k/*"}]})
    deep = "x"
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(Rejected, match="nest deeper"):
        compiled.decide(action="a", args={"k": deep})


def test_what_is_not_json_is_judged_by_its_type():
    compiled = compile_policies(
        {"rules": [{"effect": "deny", "action": "*", "conditions": {"args.v": ["ellipsis", "object"]}}, {"effect": "allow", "action": "*"}]}
    )
    assert compiled.decide(action="a", args={"v": ...}).verdict == "deny"
    assert compiled.decide(action="a", args={"v": [1, object()]}).verdict == "deny"
    assert compiled.decide(action="a", args={"v": {"w": (1, ...)}}).verdict == "deny"
    assert compiled.decide(action="a", args={1: 2, "v": float("nan")}).verdict == "allow"


@pytest.mark.parametrize("args", [..., [1, "x"], "text", object()])
def test_arguments_without_names_are_judged_as_one(args):
    compiled = compile_policies({"rules": [{"effect": "warn", "action": "*", "conditions": {"args.args": "*"}}]})
    assert compiled.decide(action="a", args=args).verdict == "warn"


def test_keys_that_are_not_text_are_read_as_json_writes_them():
    compiled = compile_policies({"rules": [{"effect": "deny", "action": "*", "resource": "1/x"}, {"effect": "allow", "action": "*"}]})
    assert compiled.decide(action="a", args={1: "x"}).verdict == "deny"


def test_policies_are_one_list_in_their_order_with_one_default():
    compiled = compile_policies(
        [
            parse({"name": "first", "rules": [{"effect": "deny", "action": "a"}]}),
            {"name": "second", "rules": [{"effect": "allow", "action": "*"}, {"id": "x", "effect": "warn", "action": "*"}]},
        ]
    )
    assert [(rule.place, rule.policy_id, rule.rule_id) for rule in compiled.rules] == [
        (0, "first", "first#1"),
        (1, "second", "second#1"),
        (2, "second", "x"),
    ]
    assert compiled.decide(action="a").policy_id == "first"
    assert compiled.decide(action="b").policy_id == "second"
    assert compile_policies([]).decide(action="b").reason_code == "default_deny"


def test_a_rules_own_reason_is_the_reason():
    compiled = compile_policies({"rules": [{"effect": "deny", "action": "*", "reason": "not on Fridays"}]})
    assert compiled.decide(action="a").reason == "not on Fridays"


def test_ten_thousand_rules_are_found_as_ten_are():
    compiled = compile_policies(
        {"rules": [{"effect": "allow", "action": f"t{n % 7}:run", "resource": f"f/{n:05}/*"} for n in range(10_000)]}
    )
    for place in range(0, 10_000, 111):
        judgement = compiled.judge(request_for_enforce(f"t{place % 7}.run", resource=f"f/{place:05}/x"))
        assert (judgement.rule, judgement.evaluated_rules) == (place, place + 1)
