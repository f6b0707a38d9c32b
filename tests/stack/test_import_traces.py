import json
from pathlib import Path

import pytest

from cz.up import Stack
from tests.recorded import arguments, expected_of
from tests.stacks import cz, last_json

PAIRS = [
    ("agentdojo-banking", "agentdojo-banking"),
    ("agentdojo-banking", "agentdojo-banking.candidate"),
    ("tau2-airline", "org-baseline"),
    ("bfcl-mt", "bfcl-mt"),
    ("coding", "org-baseline.candidate"),
]


@pytest.mark.needs("traces")
@pytest.mark.parametrize(("source", "policy"), PAIRS)
def test_the_workers_count_what_the_reference_counts(stack: Stack, shared: Path, source: str, policy: str) -> None:
    project = f"{source}-{policy}".replace(".", "-")
    answer = last_json(cz(stack.home.path, *arguments(shared, source, policy), "--project", project))
    expected = expected_of(shared, source, policy)
    assert answer["received"] == answer["landed"] == expected["received"]
    assert answer["duplicate"] == answer["quarantined"] == answer["not_replayable"] == 0
    assert answer["verdicts"] == expected["verdicts"]
    assert answer["rule_hits"] == expected["rule_hits"]


@pytest.mark.needs("traces")
def test_importing_again_changes_nothing(stack: Stack, shared: Path) -> None:
    first = last_json(cz(stack.home.path, *arguments(shared, "coding", "coding"), "--project", "twice"))
    again = last_json(cz(stack.home.path, *arguments(shared, "coding", "coding"), "--project", "twice"))
    assert again == {**first, "landed": 0, "duplicate": first["received"]}
    decisions = cz(
        stack.home.path, "decisions", "--project", "twice", "--json", "--limit", "10000", "--last-minutes", "30000"
    ).stdout.splitlines()
    assert len(decisions) == first["received"]


def test_a_line_that_is_no_action_is_quarantined_with_its_bytes(stack: Stack, tmp_path: Path) -> None:
    trace = tmp_path / "odd.jsonl"
    good = {"session_id": "s", "seq": 0, "agent_id": "a", "action_kind": "tool", "tool": "search", "arguments": {"q": "x"}, "outcome": "ok"}
    trace.write_text(f"{json.dumps(good)}\nnot json at all\n{json.dumps({**good, 'seq': 1, 'agent_id': 7})}\n")
    answer = last_json(cz(stack.home.path, "import", trace, "--project", "odd", "--json"))
    assert (answer["received"], answer["landed"], answer["quarantined"]) == (3, 1, 2)


def test_the_doctor_finds_everything_balanced(stack: Stack) -> None:
    found = last_json(cz(stack.home.path, "doctor", "--json"))
    assert found["healthy"]
    assert found["projects"]
    for project in found["projects"].values():
        assert project["balanced"]
        assert project["received"] == project["landed"] + project["duplicate"] + project["quarantined"] + project["in_flight"]
