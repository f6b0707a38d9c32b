"""The recorded traffic: how a part of it is imported, and what a correct judge counts in it."""

import json
from pathlib import Path

from cz.up import Stack
from tests.stacks import cz, last_json


def expected_of(shared: Path, source: str, policy: str) -> dict[str, object]:
    expected = json.loads((shared / "traces" / "expected.json").read_text())[source][policy]
    hits = {rule: count for rule, count in expected["rule_hits"].items() if count}
    return {
        "received": expected["actions"],
        "verdicts": {verdict: expected[verdict] for verdict in ("allow", "deny") if expected[verdict]},
        "rule_hits": hits,
    }


def arguments(shared: Path, source: str, policy: str) -> list[str]:
    traces = shared / "traces"
    return ["import", str(traces / "dev" / f"{source}.jsonl.gz"), "--policy", str(traces / "policies" / f"{policy}.json"), "--json"]


def differing(stack: Stack, shared: Path) -> list[tuple[str, str, dict[str, object]]]:
    """Import every trace under every policy, each pair into a project of its own; return what is not counted as the reference does."""
    found = []
    for source, by_policy in json.loads((shared / "traces" / "expected.json").read_text()).items():
        for policy in by_policy:
            project = f"{source}-{policy}".replace(".", "-")
            answer = last_json(cz(stack.home.path, *arguments(shared, source, policy), "--project", project))
            if (
                any(answer[name] != wanted for name, wanted in expected_of(shared, source, policy).items())
                or answer["landed"] != answer["received"]
            ):
                found.append((source, policy, answer))
    return found
