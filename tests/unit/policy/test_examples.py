"""The work of looking for examples has a limit, and what is told up to it stays true."""

import time

import pytest

from controlzero.policy import parse
from controlzero.policy.examples import remarks

EFFECTS = ("allow", "deny")


@pytest.mark.parametrize(
    "rules",
    [
        [{"effect": EFFECTS[n % 2], "action": [f"t{n * k % 97}*:{k}*x" for k in range(1, 100)]} for n in range(60)],
        [{"effect": EFFECTS[n % 2], "action": "*" + "ab*" * 300 + "x" * n} for n in range(40)],
        [{"effect": EFFECTS[n % 2], "action": "*", "conditions": {"args.a": [f"{k}*{n}" for k in range(100)]}} for n in range(200)],
        [{"effect": EFFECTS[n % 2], "action": f"*{n}*"} for n in range(1_000)],
    ],
    ids=["lists of patterns", "long patterns", "conditions with many patterns", "many rules"],
)
def test_a_policy_made_to_be_slow_is_looked_at_within_seconds(rules):
    started = time.process_time()
    remarks(parse({"rules": rules}))
    assert time.process_time() - started < 30  # minutes without a limit


def test_a_rule_that_cannot_hold_has_no_example():
    (remark,) = [
        each
        for each in remarks(
            parse(
                {"rules": [{"effect": "allow", "action": "a", "conditions": {"n": {"gt": 2, "lt": 1}}}, {"effect": "allow", "action": "*"}]}
            )
        )
        if each.kind == "warning"
    ]
    assert (remark.problem.path, remark.example) == ("rules[0]", None)
