"""What a valid policy says that its writer can hardly mean."""

import subprocess
import sys

import pytest

from controlzero.policy import denies_everything, lint, parse

ALLOW = {"effect": "allow", "action": "*"}


def warnings(*rules):
    return [(problem.path, problem.message) for problem in lint(parse({"rules": list(rules)}))]


def rule(effect, action, resource="*", **conditions):
    return {"effect": effect, "action": action, "resource": resource, "conditions": conditions}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (rule("deny", "*"), rule("allow", "llm.generate")),
        (rule("allow", "LLM.Generate"), rule("deny", "llm:generate")),
        (rule("allow", "llm:*"), rule("deny", "llm:gen*")),
        (rule("allow", ["a:*", "b:*"]), rule("deny", ["b:x", "a:y"], agent_id="x")),
        (rule("allow", "a:b", "table/*"), rule("audit", "a:b", ["table/x", "table/y*"])),
        (rule("deny", "a:b", "table/*"), rule("deny", "a:b", "table/x*y")),
        (rule("allow", "a*b"), rule("deny", "a*c*b")),
    ],
)
def test_a_rule_behind_one_that_matches_all_it_matches_never_decides(earlier, later):
    (path, message), *others = [
        warning for warning in warnings(earlier, later, ALLOW) if "never decide" in warning[1] and "[2]" not in warning[0]
    ]
    assert (path, others) == ("rules[1]", [])
    assert f"`rules[0]` ({earlier['effect']}) before it" in message


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (rule("allow", "a:b", agent_id="x"), rule("deny", "a:b")),  # it has a condition
        (rule("allow", "a:b", "table/*"), rule("deny", "a:b", "table/x")),  # a deny sees values that an allow does not
        (rule("allow", "a:b", "table/*"), rule("deny", "a:b")),  # a call without a resource
        (rule("deny", "a:b", "x*"), rule("allow", "a:b", ["x1", "y"])),
        (rule("allow", "a:c*b"), rule("deny", "a:*b")),
        (rule("allow", "llm:generate"), rule("deny", "llm:*")),
    ],
)
def test_a_rule_that_may_decide_is_not_warned_of(earlier, later):
    assert warnings(earlier, later, ALLOW) == []


def test_several_rules_together_may_leave_nothing_to_decide():
    (warning,) = warnings(rule("allow", "a:*"), rule("deny", "b:*"), rule("deny", ["a:x", "b:y"]))
    assert warning[0] == "rules[2]"
    assert "`rules[0]` (allow) and `rules[1]` (deny)" in warning[1]


@pytest.mark.parametrize(
    "wanted",
    [{"gt": 10, "lt": 5}, {"gte": 5, "lt": 5}, {"gt": "b", "lte": "a"}, {"exists": True, "not_exists": True}, {"exists": False, "eq": 1}],
)
def test_a_condition_that_cannot_hold_is_told(wanted):
    assert warnings(rule("allow", "a", **{"args.amount": wanted}), ALLOW) == [
        ("rules[0]", "can never decide; its condition on `args.amount` cannot hold: mend it, or remove the rule")
    ]


@pytest.mark.parametrize("wanted", [{"gte": 5, "lte": 5}, {"gt": 1, "lt": 5}, {"gt": 5, "lt": "a"}, {"exists": True, "eq": 1}])
def test_a_condition_that_may_hold_is_not_told(wanted):
    assert warnings(rule("allow", "a", **{"args.amount": wanted}), ALLOW) == []


def test_bounds_of_a_denial_that_are_the_wrong_way_round_still_deny_what_cannot_be_compared():
    assert [path for path, _ in warnings(rule("deny", "a", **{"args.amount": {"gt": 10, "lt": 5}}), ALLOW)] == [
        "rules[0].conditions.args.amount"
    ]


@pytest.mark.parametrize("pattern", ["file?", "[ab]*", "db[!x]"])
def test_what_looks_like_a_wildcard_and_is_none_is_told(pattern):
    found = warnings(rule("allow", ["x", pattern], pattern, agent_id=pattern))
    assert [path for path, _ in found] == ["rules[0].action[1]", "rules[0].resource", "rules[0].conditions.agent_id"]


def test_an_address_may_hold_a_question_mark():
    assert warnings(rule("allow", "http:get", ["https://example.org/?q=*", "search?q=*", "http://[::1]/*"])) == []


@pytest.mark.parametrize(("operator", "operand"), [("eq", "a*"), ("in", ["b", "a*"]), ("not_in", ["a*"])])
def test_a_star_that_an_operator_takes_literally_is_told(operator, operand):
    assert [path for path, _ in warnings(rule("allow", "a", tier={operator: operand}))] == [f"rules[0].conditions.tier.{operator}"]
    assert warnings(rule("allow", "a", tier={operator: "*" if operator == "eq" else ["*", 5]})) == []


@pytest.mark.parametrize(
    "rules", [[], [rule("deny", "a")], [rule("deny", "*"), rule("allow", "a")], [rule("warn", "a", x={"exists": True, "not_exists": True})]]
)
def test_a_policy_that_lets_nothing_through_is_told_first(rules):
    assert "denies everything" in warnings(*rules)[0][1]
    assert denies_everything(parse({"rules": rules}))


@pytest.mark.parametrize("effect", ["allow", "warn", "audit"])
def test_a_policy_that_lets_something_through_does_not_deny_everything(effect):
    assert not denies_everything(parse({"rules": [rule("deny", "a"), rule(effect, "b", agent_id="x")]}))


def test_policies_of_one_bundle_are_read_as_one_list():
    one, other = parse({"name": "one", "rules": [{"id": "x", **ALLOW}]}), parse({"name": "two", "rules": [{"id": "x", **ALLOW}]})
    assert [(problem.path, problem.message.partition(";")[0]) for problem in lint([one, other])] == [
        ("two: rules[0]", "can never decide"),
        ("two: rules[0].id", "`x` is the id of `one: rules[0]` too"),
    ]


def test_a_policy_of_any_size_is_looked_at_in_bounded_time():
    assert lint(parse({"rules": [rule("allow", f"a{number}:*", f"x{number}/*") for number in range(20_000)]})) == ()


def test_judging_needs_no_yaml_until_a_text_is_in_it():
    code = "import sys; from controlzero.policy import compile; compile('[]'); assert 'yaml' not in sys.modules; compile('rules: []'); assert 'yaml' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
