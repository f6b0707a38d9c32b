from dashboards.policy_marks import Hits, comparison, policy_block
from dashboards.policy_text import around, compare, policy_lines, rules_of
from tests.ledgers import CANDIDATE, FIRST_POLICY, POLICY

DASHES = {
    "name": "d",
    "rules": [{"effect": "deny", "action": "*", "reason": "- not a rule\n- nor this"}, {"effect": "allow", "action": ["- x", "y"]}],
}


def test_every_rule_starts_one_line_and_its_lines_are_in_a_row() -> None:
    lines = policy_lines([POLICY])
    assert [line.rule for line in lines if line.starts_rule] == list(range(1, len(POLICY["rules"]) + 1))
    places = [line.rule for line in lines if line.rule]
    assert places == sorted(places)


def test_rules_are_numbered_through_all_policies_of_a_bundle() -> None:
    lines = policy_lines([FIRST_POLICY, POLICY])
    assert max(line.rule or 0 for line in lines) == len(rules_of([FIRST_POLICY, POLICY]))
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_text_that_looks_like_a_rule_is_none() -> None:
    assert [line.rule for line in policy_lines([DASHES]) if line.starts_rule] == [1, 2]


def test_the_lines_around_a_rule_hold_all_of_it() -> None:
    lines = policy_lines([POLICY])
    shown = around(lines, 4, each_side=1)
    of_rule = [line for line in lines if line.rule == 4]
    assert [line for line in shown if line.rule == 4] == of_rule
    assert len(shown) == len(of_rule) + 2


def test_around_a_rule_there_is_not_there_is_nothing() -> None:
    assert around(policy_lines([POLICY]), 99) == []


def test_a_comparison_names_what_was_added_and_removed() -> None:
    changes = compare([POLICY], [CANDIDATE])
    assert any(change.sign == "+" and "no-reports" in change.text for change in changes)
    assert any(change.sign == "-" and "production-agents" in change.text for change in changes)
    assert compare([POLICY], [POLICY]) == []


def test_only_the_chosen_rule_stands_out() -> None:
    drawn = policy_block(policy_lines([POLICY]), chosen=4)
    assert drawn.count("cz-line-chosen") == sum(1 for line in policy_lines([POLICY]) if line.rule == 4)


def test_a_rule_without_hits_says_so() -> None:
    drawn = policy_block(policy_lines([POLICY]), hits={1: Hits(decisions=1204, agents=2, href="decisions?rule=x")})
    assert "1,204" in drawn
    assert drawn.count("no hits") == len(POLICY["rules"]) - 1


def test_policy_text_is_escaped() -> None:
    assert "<script" not in policy_block(policy_lines([{"name": "<script>", "rules": []}]))
    assert "<script" not in comparison(compare([], [{"name": "<script>", "rules": []}]))
