"""The vendor's SDK under its own interpreter: prints, as JSON, what `guard()` takes under a local policy, recording as it does.

`python vendor_driver.py RULES CALLS ARGUMENTS`, in a folder of its own; nothing of ours is imported here.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from controlzero import Client


def main() -> None:
    """Call as often as asked, the deciding rule last but one, and print `[p50 in µs]`."""
    rules, calls, args = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    listed = [{"deny" if n % 3 else "allow": f"tool{n}:*"} for n in range(rules - 2)]
    policy = {"version": "1", "rules": [*listed, {"allow": "database:query"}, {"deny": "*"}]}
    client = Client(policy=policy, log_path="audit.log")
    took_ns = []
    for _ in range(calls):
        before = time.perf_counter_ns()
        decision = client.guard("database", args, method="query")
        took_ns.append(time.perf_counter_ns() - before)
    client.close()
    assert decision.decision == "allow", decision
    recorded = Path("audit.log").read_bytes().count(b"\n")
    assert recorded == calls, f"{recorded} of {calls} calls are in the vendor's log"
    print(json.dumps([statistics.median(took_ns) / 1e3]))


main()
