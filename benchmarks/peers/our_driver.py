"""Our SDK as `vendor_driver.py` has the vendor's: the same policy in our words, the same call, recorded in the spool."""

import json
import statistics
import sys
import time
from pathlib import Path

from controlzero import Client


def main() -> None:
    """Call as often as asked, the deciding rule last but one, and print `[p50 in µs]`."""
    rules, calls, args = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    listed = [{"effect": "deny" if n % 3 else "allow", "action": f"tool{n}:*"} for n in range(rules - 2)]
    policy = [*listed, {"effect": "allow", "action": "database:query"}, {"effect": "deny", "action": "*"}]
    Path("policy.json").write_text(json.dumps({"name": "bench", "rules": policy}), encoding="utf-8")
    took_ns = []
    with Client(policy_file="policy.json", spool="spool") as client:
        for _ in range(calls):
            before = time.perf_counter_ns()
            decision = client.guard("database", method="query", args=args)
            took_ns.append(time.perf_counter_ns() - before)
    assert decision.allowed, decision
    recorded = sum(path.read_bytes().count(b"\n") for path in Path("spool").rglob("*.records"))
    assert recorded == calls, f"{recorded} of {calls} calls are in the spool"
    print(json.dumps([statistics.median(took_ns) / 1e3]))


main()
