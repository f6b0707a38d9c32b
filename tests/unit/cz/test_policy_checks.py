"""`cz policy validate | lint | test | fmt`: what they say of files, to people and to programs, and their exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from controlzero.errors import PolicyError, Rejected
from controlzero.policy import parse
from controlzero.policy.decode import decode
from cz import policies, policy_cases
from cz.policy_files import files_of
from cz.policy_format import formatted

POLICY = """\
name: support
rules:
  - {id: models, effect: allow, action: llm.generate}
  - {id: refunds, effect: deny, action: tool.call, resource: tool/issue_refund}
"""
LOST = POLICY + "  - {effect: deny, action: llm.generate}\n"
TESTS = """\
description: the support bot
policy: support.yaml
cases:
  - {description: any model will do, call: {action: llm.generate}, wanted: allow}
  - {call: {action: tool.call, resource: tool/issue_refund}, wanted: {verdict: deny, rule: refunds}}
"""
GOLDEN = Path(__file__).parents[2] / "golden" / "policy"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command beside `support.yaml` and `support_test.yaml`; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    Path("support.yaml").write_text(POLICY)
    Path("support_test.yaml").write_text(TESTS)

    def run(*tokens: str) -> tuple[int, str]:
        try:
            policies.app(list(tokens), exit_on_error=False, result_action="return_value")
        except SystemExit as ended:
            return int(ended.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def told(run: Run, *tokens: str) -> Any:
    return json.loads(run(*tokens, "--json")[1])


# Which files


def test_folders_and_globs_stand_for_policies_and_their_tests_apart(run: Run) -> None:
    Path("team").mkdir()
    Path("team/b.json").write_text('{"rules": []}')
    Path("team/notes.md").write_text("x")
    assert files_of([Path()]) == [Path("support.yaml"), Path("team/b.json")]
    assert files_of([Path("*.yaml"), Path("support.yaml"), Path("**/*.json")]) == [Path("support.yaml"), Path("team/b.json")]
    assert files_of([Path()], tests=True) == [Path("support_test.yaml")]
    for nothing in ("none.yaml", "*.yml", "team/*.txt"):
        with pytest.raises(Rejected, match=r"none|no file"):
            files_of([Path(nothing)])


# validate


def test_validate_says_that_a_policy_can_be_applied(run: Run) -> None:
    code, out = run("validate", "support.yaml")
    assert code == 0
    assert "2 rules, policy" in out
    assert "Next: cz policy apply support.yaml" in out
    assert told(run, "validate", "support.yaml")["valid"] is True


def test_validate_names_every_problem_of_every_file_and_exits_with_1(run: Run) -> None:
    Path("bad.yaml").write_text("rules: [{effect: alow, action: x}, {effect: deny}]")
    code, out = run("validate", ".")
    assert code == 1
    assert out.count("✗ bad.yaml: ") == 2
    assert "✓ support.yaml" in out
    report = next(one for one in told(run, "validate", ".") if one["file"] == "bad.yaml")
    assert [(one["path"], one["line"]) for one in report["problems"]] == [("rules[0].effect", 1), ("rules[1].action", 1)]


def test_a_doubt_is_a_warning_and_no_problem(run: Run) -> None:
    Path("support.yaml").write_text(LOST)
    code, out = run("validate", "support.yaml")
    assert code == 0
    assert "! support.yaml: can never decide at `rules[2]` (line 5)" in out


def test_a_file_that_cannot_be_read_keeps_nothing_from_being_said_of_the_others(run: Run) -> None:
    Path("bad.yaml").write_text("rules: [{effect: alow, action: x}]")
    Path("no-text.yaml").write_bytes(b"\xff\xfe")
    Path("untidy.yaml").write_text(UNTIDY)
    for command in ("validate", "lint"):
        code, out = run(command, ".")
        assert code == 1
        assert "✗ bad.yaml: expected one of `allow`" in out
        assert out.count("no-text.yaml") == 1
        assert "✗ no-text.yaml: cannot be read (not UTF-8 text)" in out
    errors = [remark for remark in told(run, "lint", ".") if remark["kind"] == "error"]
    assert [error["file"] for error in errors] == ["bad.yaml", "no-text.yaml"]
    with pytest.raises(Rejected, match=r"(?s)bad\.yaml: policy `bad`: .*no-text\.yaml: cannot be read"):
        run("fmt", ".")
    assert Path("untidy.yaml").read_text() == TIDY


# lint


def test_rules_that_together_leave_a_rule_nothing_are_said_to_do_so_together(run: Run) -> None:
    Path("support.yaml").write_text(POLICY + "  - {effect: deny, action: [llm.generate, tool.call], resource: tool/issue_refund}\n")
    assert "`rules[0]` (allow) and `rules[1]` (deny) before it, without conditions, together match all it matches" in run("lint", ".")[1]
    Path("support.yaml").write_text("rules: [{effect: allow, action: x:y}]")
    assert "✓ support.yaml: 1 rule, policy" in run("validate", ".")[1]


def test_lint_shows_a_call_that_an_unreachable_rule_would_have_decided(run: Run) -> None:
    Path("support.yaml").write_text(LOST)
    code, out = run("lint", "support.yaml")
    assert code == 1
    assert "can never decide at `rules[2]`" in out
    assert "{action: 'llm:generate'} is allow, by rules[0]" in out
    (remark,) = told(run, "lint", "support.yaml")
    assert (remark["kind"], remark["example"]) == ("warning", {"call": {"action": "llm:generate"}, "verdict": "allow", "rule": "rules[0]"})


def test_lint_shows_what_order_decides_as_a_note(run: Run) -> None:
    Path("support.yaml").write_text(
        'rules:\n  - {effect: allow, action: "data:*", conditions: {agent_id: "report-*", args.rows: {lt: 10}}}\n  - {effect: deny, action: "*:write"}\n'
        "  - {effect: allow, action: llm.generate}\n"
    )
    code, out = run("lint", "support.yaml")
    assert code == 0
    assert "order decides at `rules[1]` (line 3); `rules[0]` (allow) before it" in out
    (remark,) = told(run, "lint", "support.yaml")
    assert remark["example"]["call"] == {"action": "data:write", "context": {"agent_id": "report-x"}, "args": {"rows": 9}}
    assert run("lint", "support.yaml", "--strict")[0] == 1


def test_lint_has_nothing_to_say_of_rules_apart(run: Run) -> None:
    assert run("lint", "support.yaml") == (0, "✓ 1 file: nothing to remark.\n")


# test


def test_cases_as_wanted_pass_and_rules_without_one_are_named(run: Run) -> None:
    code, out = run("test", "support_test.yaml")
    assert code == 0
    assert "✓ 1: any model will do  → allow, by rules[0]" in out
    assert "✓ 2 of 2 cases as wanted." in out
    assert "decided no case" not in out
    Path("support.yaml").write_text(LOST)
    assert told(run, "test", ".")["untested"] == ["support: rules[2]"]


def test_a_case_that_is_not_as_wanted_fails_with_what_differs_and_why(run: Run) -> None:
    Path("support_test.yaml").write_text(TESTS.replace("wanted: allow", "wanted: deny").replace("rule: refunds", "rule: other"))
    code, out = run("test", "support_test.yaml", "--junit", "results.xml")
    assert code == 1
    assert "✗ 1: any model will do  → verdict: wanted deny, got allow" in out
    assert "allow, by rules[0]: rule `models` of policy `support` says allow" in out
    assert "✗ 2: {action: tool.call, resource: tool/issue_refund}  → rule: wanted other, got refunds" in out
    suites = ET.parse("results.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("2", "2")
    assert next(case.get("name") for case in suites.iter("testcase")) == "1: any model will do"
    found = told(run, "test", "support_test.yaml")
    assert (found["passed"], found["failed"]) == (0, 2)
    assert found["results"][0]["differs"] == {"verdict": ["deny", "allow"]}


def test_another_policy_is_put_to_the_same_cases(run: Run) -> None:
    Path("stricter.yaml").write_text("rules: [{effect: deny, action: '*'}]")
    assert run("test", "support_test.yaml", "--policy", "stricter.yaml")[0] == 1


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("cases: []\npolicy: support.yaml\ncase: []", "unknown field `case`"),
        ("cases: [{wanted: allow}]\npolicy: support.yaml", "expected one of `call` and `guard`"),
        ("cases: [{call: {action: a}, wanted: alow}]\npolicy: support.yaml", r"cases\[0\].wanted|Invalid enum value"),
        ("cases: [{call: {action: a}, wanted: allow}]", "say --policy FILE"),
        ("cases: [{call: {action: a}, wanted: allow}]\npolicy: missing.yaml", "missing.yaml: there is none"),
        ("cases: [", "not YAML"),
    ],
)
def test_a_test_file_said_wrongly_names_what_is_wrong(run: Run, tests: str, message: str) -> None:
    Path("support_test.yaml").write_text(tests)
    with pytest.raises(Rejected, match=message):
        policies.app(["test", "support_test.yaml"], exit_on_error=False, result_action="return_value")


def test_no_case_at_all_is_no_success(run: Run) -> None:
    Path("support_test.yaml").write_text("policy: support.yaml\ncases: []")
    assert run("test", "support_test.yaml")[0] == 1


def test_the_golden_cases_of_the_language_are_tests_as_they_stand(tmp_path: Path) -> None:
    known = set(policy_cases.Wanted.__struct_fields__)
    groups = []
    for path in sorted(GOLDEN.glob("*.yaml")):
        for group in decode(path.read_bytes()):  # type: ignore[attr-defined]
            cases = [case for case in group.get("cases", ()) if case["wanted"].keys() <= known]
            groups += [{**group, "cases": cases}] if cases else []
    (tmp_path / "golden_test.json").write_text(json.dumps(groups))
    ran = policy_cases.run([tmp_path / "golden_test.json"])
    assert len(ran.results) > 80
    assert [result for result in ran.results if not result.passed] == []


# fmt

UNTIDY = """\
# The support bot's policy.

description: |
  What it may do.
  And what not.
name: support
rules:
    # models first
    - action: llm.generate   # any model
      effect: allow
      resource: [model/a,    model/b]


    - {id: refunds, effect: deny, action: tool.call} # needs a person
    # the last
    - effect: warn
      action: "*"
# the end
"""
TIDY = """\
# The support bot's policy.

name: support
description: |
  What it may do.
  And what not.
rules:
# models first
- effect: allow
  action: llm.generate  # any model
  resource: [model/a, model/b]

- id: refunds  # needs a person
  effect: deny
  action: tool.call
# the last
- effect: warn
  action: '*'
# the end
"""


def test_fmt_writes_in_one_way_and_keeps_comments_where_they_belong() -> None:
    assert formatted(UNTIDY, name="p") == TIDY
    assert formatted(TIDY, name="p") == TIDY
    assert parse(TIDY) == parse(UNTIDY)


def test_fmt_keeps_json_as_json() -> None:
    text = formatted('{"rules": [{"action": "a", "effect": "allow"}], "name": "p"}', name="p")
    assert text.startswith('{\n  "name": "p",\n  "rules": [\n    {\n      "effect": "allow",')
    assert formatted(text, name="p") == text


def test_fmt_refuses_where_a_comment_would_be_lost() -> None:
    with pytest.raises(PolicyError, match="would be lost"):
        formatted("description: | # why\n  text\nrules: []\n", name="p")


def test_fmt_changes_files_and_check_only_says_so(run: Run) -> None:
    Path("support.yaml").write_text(UNTIDY)
    assert run("fmt", ".", "--check") == (1, "! support.yaml: would be written anew.\n")
    assert Path("support.yaml").read_text() == UNTIDY
    assert told(run, "fmt", "support.yaml") == {"changed": ["support.yaml"], "refused": []}
    assert Path("support.yaml").read_text() == TIDY
    assert run("fmt", ".", "--check") == (0, "= 1 file: written as it should be.\n")


def test_fmt_reads_standard_input_and_writes_standard_output(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "in").write_text(UNTIDY)
    with (tmp_path / "in").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert run("fmt", "-") == (0, TIDY)
