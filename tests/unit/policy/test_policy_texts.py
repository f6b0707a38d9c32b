"""Policies as JSON and YAML text: the same policy, and nothing that surprises."""

import json

import pytest

from controlzero.errors import PolicyError, Rejected
from controlzero.policy import canonical, load, parse, policy_digest
from controlzero.policy.evaluate import compile_policies
from controlzero.policy.model import PATTERN_CHARS_MAX, PATTERNS_MAX, POLICY_BYTES_MAX, RULES_MAX

RULE = {"effect": "allow", "action": "*"}


def problems(source):
    with pytest.raises(PolicyError) as refused:
        parse(source)
    return [(problem.path, problem.message) for problem in refused.value.problems]


def test_json_and_yaml_say_the_same():
    as_yaml = """
    # a comment
    name: payments
    description: |
      two
      lines
    rules:
    - effect: deny
      action: [pay.refund, "pay:void"]
      conditions:
        args.amount: {gt: 1e3}
        tier: [gold, 12, true]
    """
    as_json = {
        "name": "payments",
        "description": "two\nlines\n",
        "rules": [
            {
                "effect": "deny",
                "action": ["pay.refund", "pay:void"],
                "conditions": {"args.amount": {"gt": 1000}, "tier": ["gold", 12, True]},
            }
        ],
    }
    assert parse(as_yaml) == parse(json.dumps(as_json)) == parse(json.dumps(as_json).encode()) == parse(as_json)


def test_yaml_words_are_the_words_they_are():
    policy = parse("rules:\n- {effect: allow, action: no, conditions: {a: yes, b: 12:30, c: 2026-01-01, d: 0x10, e: 1_000, f: on}}")
    assert policy.rules[0].action == ("no",)
    assert list(policy.rules[0].conditions.values()) == ["yes", "12:30", "2026-01-01", "0x10", "1_000", "on"]


def test_a_bare_list_is_the_rules_and_a_file_names_the_policy(tmp_path):
    (tmp_path / "shop.yaml").write_text("- {effect: allow, action: '*'}")
    assert load(tmp_path / "shop.yaml") == parse({"name": "shop", "rules": [RULE]})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"rules": [], "rules": []}', "key `rules` is there twice"),
        ("rules: []\nrules: []", "key `rules` is there twice; keep one"),
        ("a: &x [1]\nrules: *x", "an anchor or alias"),
        ("rules: !!python/object:os.system []", "the tag"),
        ("rules:\n- {effect: allow, action: *}", "not YAML"),
        ("rules: [", "not YAML"),
        ("rules: []\n---\nrules: []", "a second YAML document"),
        ('{"a":' * 100_000, "nests deeper than"),
        ("[" * 100_000 + "]" * 100_000, "nests deeper than"),
        ("- " * 50 + "x", "nests deeper than"),
        ('{"rules": [' + "1" * 5_000 + "]}", "a number of 5,000 digits"),
        ("rules: " + "1" * 5_000, "a number of 5,000 digits"),
        ('{"rules": [NaN]}', "`NaN` is not a JSON number"),
        (b"\xff\xfe", "not UTF-8: byte 0 is 0xff"),
        ('{"rules": [}', "line 1, column"),
        ("just words", "expected an object with `rules`"),
        ("", "expected an object with `rules`, got null"),
        (" " * (POLICY_BYTES_MAX + 1), "bytes of policy"),
        ("[1]: x\nrules: []", "a list or object as a key"),
    ],
)
def test_a_text_that_is_no_policy_says_what_and_where(source, said):
    assert any(said in message for _, message in problems(source))


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ({"rules": [RULE] * (RULES_MAX + 1)}, "rules"),
        ({"rules": [RULE | {"action": "a" * (PATTERN_CHARS_MAX + 1)}]}, "rules[0].action"),
        ({"rules": [RULE | {"resource": ["a"] * (PATTERNS_MAX + 1)}]}, "rules[0].resource"),
        ({"rules": [RULE | {"conditions": {f"k{n}": "x" for n in range(33)}}]}, "rules[0].conditions"),
        ({"rules": [RULE | {"conditions": {"k" * 300: "x"}}]}, "rules[0].conditions"),
        ({"rules": [RULE | {"conditions": {"k": "a\0b"}}]}, "rules[0].conditions.k"),
        ({"rules": [RULE | {"conditions": {"k": "\ud800"}}]}, "rules[0].conditions.k"),
        ({"rules": [RULE | {"action": "a\u200bb"}]}, "rules[0].action"),
        ({"rules": [RULE | {"id": "x" * 201}]}, "rules[0].id"),
        ({"rules": [RULE | {"reason": "x" * 2_001}]}, "rules[0].reason"),
        ({"name": "", "rules": [RULE]}, "name"),
        ({"name": 5, "rules": [RULE]}, "name"),
        ({"description": 5, "rules": [RULE]}, "description"),
    ],
)
def test_every_limit_has_a_path(policy, path):
    assert [found for found, _ in problems(policy)] == [path]


def test_only_a_screenful_of_problems_is_told():
    found = problems({"rules": [{"effect": "maybe", "action": "*", f"field{number}": 1} for number in range(20_000)]})
    assert len(found) == 101
    assert found[-1][1].startswith("and more")


def test_an_error_states_fact_place_and_way_out():
    with pytest.raises(Rejected) as refused:
        parse({"name": "payments", "rules": [{"effect": "allow", "actoin": "*", "action": "*"}]})
    assert str(refused.value) == "policy `payments`: unknown field `actoin` at `rules[0]`; did you mean `action`?"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rules:\n- effect: allow\n  action: *\n", 'in line 3, column 12; quote a text that begins with *, as in "*"'),
        ("rules:\n- {effect: allow, action: [*, a]}", 'in line 2, column 29; quote a text that begins with *, as in "*"'),
        ("rules:\n- effect: allow\n  action: *read\n", "in line 3, column 11; quote a pattern that begins with `*`"),
        ("rules:\n- effect: allow\n  action: @team\n", 'in line 3, column 11; quote a text that begins with @, as in "@"'),
        ("rules:\n- effect: allow\n\taction: x\n", "in line 3, column 1; indent with spaces"),
        ("rules:\n- effect: allow\n  action: llm: *\n", "in line 3, column 14; quote a text that holds `: `"),
        ("rules:\n- effect: allow\n  reason: \x07\n", "in line 3, column 11; write plain text"),
        ('{"rules": [\n  {"effect": "allow", "action": "a"\n]}', "in line 3, column 1"),
    ],
)
def test_a_text_that_cannot_be_read_says_where_and_what_mends_it(source, said):
    assert said in problems(source)[0][1]


@pytest.mark.parametrize(
    "source",
    [
        "name: x\nrules:\n- effect: allow\n  acton: a\n  action: b\n- action: c\n",
        '{"name": "x", "rules":\n [\n {"effect": "allow",\n "acton": "a",\n "action": "b"},\n {"action": "c"}]}',
    ],
)
def test_a_problem_names_the_line_of_what_is_wrong_or_of_what_lacks_something(source):
    with pytest.raises(PolicyError) as refused:
        parse(source)
    assert [(problem.path, problem.line) for problem in refused.value.problems] == [("rules[0]", 4), ("rules[1].effect", 6)]
    assert "unknown field `acton` at `rules[0]` (line 4); did you mean `action`?" in str(refused.value)


def test_a_decoded_policy_has_no_lines():
    with pytest.raises(PolicyError) as refused:
        parse({"rules": [{"action": "a"}]})
    assert [problem.line for problem in refused.value.problems] == [None]


@pytest.mark.parametrize("sources", [["[]", "[]"], [{"name": "shop", "rules": []}, "[]", "name: shop\nrules: []"]])
def test_two_policies_of_one_name_are_no_bundle(sources):
    with pytest.raises(PolicyError, match=rf"at `policies\[{len(sources) - 1}\].name`; give each its own"):
        compile_policies(sources)
    assert len(compile_policies(sources[:-1]).policies) == len(sources) - 1


def test_canonical_bytes_are_the_same_however_a_policy_was_written():
    one = parse('{"rules": [{"action": ["*"], "effect": "allow", "conditions": {"b": 5.0, "a": "\\u00e9"}}], "name": "p"}')
    other = parse("name: p\nrules:\n- effect: allow\n  action: '*'\n  conditions: {a: é, b: 5}")
    wanted = '{"name":"p","rules":[{"action":"*","conditions":{"a":"é","b":5},"effect":"allow","resource":"*"}]}'
    assert canonical(one) == canonical(other) == wanted.encode()
    assert policy_digest(one) == policy_digest([other])
    assert policy_digest([one, other]) != policy_digest(one)
