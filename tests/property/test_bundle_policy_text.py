"""A policy shown as text can be applied again and is the same policy."""

import json

from hypothesis import given
from hypothesis import strategies as st

from controlplane.wording import policy_difference, policy_text
from controlzero.policy import Policy, Rule, canonical, parse

LINES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Zs"]) | st.just(" "), min_size=1, max_size=30
).filter(lambda text: bool(text.strip()) and text.isprintable())
TRICKY = st.sampled_from(
    [
        "1e3",
        "1",
        "-0.5",
        ".5",
        "null",
        "~",
        "yes",
        "no",
        "true",
        "on",
        "0x1f",
        "2026-11-20",
        "1_000",
        "=",
        "*",
        "a: b",
        "- a",
        "#",
        "@x",
        "`",
    ]
)
WORDS = LINES | TRICKY
PATTERNS = st.lists(WORDS, min_size=1, max_size=3).map(tuple)
SCALARS = WORDS | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
RULES = st.builds(
    Rule,
    effect=st.sampled_from(["allow", "deny", "warn", "audit"]),
    action=PATTERNS,
    resource=PATTERNS,
    conditions=st.dictionaries(st.sampled_from(["agent_id", "tags.team", "args.path", "no", "1"]), SCALARS, max_size=3),
    reason=st.none() | WORDS,
)
POLICIES = st.builds(Policy, name=WORDS, rules=st.lists(RULES, max_size=4).map(tuple), description=st.none() | WORDS)


@given(POLICIES)
def test_the_text_of_a_policy_is_that_policy(policy: Policy) -> None:
    document = json.loads(canonical(policy))
    assert canonical(parse(policy_text([document]))) == canonical(policy)


@given(POLICIES, POLICIES)
def test_two_policies_differ_in_text_exactly_if_they_differ(one: Policy, other: Policy) -> None:
    documents = [json.loads(canonical(policy)) for policy in (one, other)]
    lines = list(policy_difference(documents[:1], documents[1:], before_name="a", after_name="b"))
    assert bool(lines) == (canonical(one) != canonical(other))
