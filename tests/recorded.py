"""The recorded traffic: how a part of it is imported, and what a correct judge counts in it."""

import json
from pathlib import Path


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
