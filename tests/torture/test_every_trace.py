import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cz.up import Stack
from tests.stacks import cz, last_json, stack_over


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_over(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.needs("traces")
def test_every_trace_under_every_policy_counts_as_the_reference_does(stack: Stack, shared: Path) -> None:
    expected = json.loads((shared / "traces" / "expected.json").read_text())
    differing = []
    for source, by_policy in expected.items():
        for policy, wanted in by_policy.items():
            traces = shared / "traces"
            answer = last_json(
                cz(
                    stack.home.path,
                    "import",
                    traces / "dev" / f"{source}.jsonl.gz",
                    "--policy",
                    traces / "policies" / f"{policy}.json",
                    "--project",
                    f"{source}-{policy}".replace(".", "-"),
                    "--json",
                )
            )
            verdicts = {verdict: wanted[verdict] for verdict in ("allow", "deny") if wanted[verdict]}
            if (answer["landed"], answer["verdicts"], answer["rule_hits"]) != (wanted["actions"], verdicts, wanted["rule_hits"]):
                differing.append((source, policy, answer))
    assert differing == []
