"""Recorded traces of agents, judged directly: what the importer, gateway and workers must come to as well."""

import gzip
import hashlib
import json
from collections import Counter

from controlzero.policy import load
from controlzero.policy.evaluate import compile_policies


def differing(traces, sources):
    """Return the (file, policy) pairs whose rule hits or decisions are not those expected."""
    expected = json.loads((traces / "expected.json").read_text())
    pairs = []
    for source in sources or expected:
        with gzip.open(traces / "dev" / f"{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
            actions = [json.loads(line) for line in lines]
        for policy, wanted in expected[source].items():
            compiled = compile_policies(load(traces / "policies" / f"{policy}.json"))
            hits, digest = judged(compiled, actions)
            if (dict(hits), digest) != (wanted["rule_hits"], wanted["decisions_sha256"]):
                pairs.append((source, policy))
    return pairs


def judged(compiled, actions):
    hits, digest = Counter(), hashlib.sha256()
    for action in actions:
        judgement = compiled.decide(**asked(action))
        hits[{"malformed_request": "malformed", "default_deny": "default"}.get(judgement.reason_code, str(judgement.rule))] += 1
        digest.update(f"{action['session_id']}:{action['seq']}:{judgement.verdict}\n".encode())
    return hits, digest.hexdigest()


def asked(action):
    context = {key: action[key] for key in ("agent_id", "user_id", "session_id", "model") if action[key] is not None}
    named = {"context": context, "args": action["arguments"]}
    if action["action_kind"] == "llm":
        return {"action": "llm.generate", "resource": f"model/{action['model']}", **named}
    name = f"{action['tool']}:{action['method']}" if action["method"] else "tool.call"
    return {"action": name, "resource": f"tool/{action['tool']}", **named}
