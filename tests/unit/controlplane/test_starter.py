"""The policy a new installation starts with does what its text says."""

import pytest

from controlplane.starter import STARTER_POLICY
from controlzero import policy

STARTER = policy.compile(policy.parse(STARTER_POLICY))


@pytest.mark.parametrize(
    ("action", "resource", "args", "verdict", "rule_id"),
    [
        ("llm.generate", "model/gpt-5.4", None, "allow", "models"),
        ("embedding.generate", "model/text-embedding-3-small", None, "allow", "models"),
        ("shell:run", None, {"command": "ls"}, "deny", "no-shell"),
        ("mcp.tool:call", "mcp://shell/run", None, "deny", "no-shell-over-mcp"),
        ("database:query", None, {"sql": "SELECT * FROM orders"}, "allow", "reading"),
        ("database:query", None, {"sql": "DROP TABLE orders"}, "deny", "no-destructive-sql"),
        ("database:query", None, {"batch": [{"sql": "SELECT 1"}, {"sql": "drop table orders"}]}, "deny", "no-destructive-sql"),
        ("filesystem:read_file", None, {"path": "/data/report.pdf"}, "allow", "reading"),
        ("filesystem:read_file", None, {"path": "/home/ada/.ssh/id_ed25519"}, "deny", "no-credentials"),
        ("filesystem:read_file", None, {"path": ".env"}, "deny", "no-credentials"),
        ("filesystem:write_file", None, {"path": "/data/out.csv"}, "audit", "changing"),
        ("tool.call", "tool/issue_refund", None, "warn", "money-is-watched"),
        ("tool.call", "tool/lookup_order", None, "audit", "other-tools"),
        ("trade:execute", None, {"asset": "AAPL"}, "warn", "money-is-watched"),
        ("vectorstore:read", "vectorstore/papers", None, "allow", "reading"),
        ("rocket:launch", None, None, "deny", "starter#default"),
    ],
)
def test_the_starter_policy(action: str, resource: str | None, args: dict[str, object] | None, verdict: str, rule_id: str) -> None:
    judged = STARTER.decide(action=action, resource=resource, args=args)
    assert judged.verdict == verdict
    if rule_id != "starter#default":
        assert judged.rule_id == rule_id
    else:
        assert judged.policy_id is None
