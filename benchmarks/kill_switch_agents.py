"""A process with many connected clients, for `kill_switch`: tells when each first denies a call, and when each allows one again.

`python -m benchmarks.kill_switch_agents URL KEY CLIENTS FOLDER`. Each line it reads is an instant on the system's monotonic clock
and the word to wait for; it answers with a line of JSON, milliseconds since that instant, one for each client.
"""

import json
import sys
import time

from controlzero import Client

ASKED_EVERY_S = 0.005  # how often each client makes a call: what is added to each figure is half of this
WAITS_S_MAX = 60.0


def main() -> None:
    """Connect, say so, and answer until the input ends."""
    url, key, count, folder = sys.argv[1:]
    # with a spool of its own each client has its own connection, as in a process of its own
    clients = [Client(api_key=key, base_url=url, agent_id=f"agent-{n}", spool=f"{folder}/{n}") for n in range(int(count))]
    for client in clients:  # an agent that works: its first call begins its record and the delivery of that
        assert client.guard("llm", method="generate", args={"model": "gpt-5.4"})
        assert client.flush(WAITS_S_MAX)
    print("ready", flush=True)
    for line in sys.stdin:
        at, word = line.split()
        print(json.dumps(changes_ms(clients, float(at), is_allowed=word == "allow")), flush=True)


def changes_ms(clients: list[Client], at: float, *, is_allowed: bool) -> list[float]:
    """Return when each client's call first came out so, in milliseconds after `at`."""
    waiting, found = clients, list[float]()
    while waiting and time.monotonic() < at + WAITS_S_MAX:
        before = waiting
        waiting = [client for client in before if client.guard("llm", method="generate").allowed is not is_allowed]
        found += [(time.monotonic() - at) * 1e3] * (len(before) - len(waiting))
        time.sleep(ASKED_EVERY_S)
    return found + [WAITS_S_MAX * 1e3] * len(waiting)


if __name__ == "__main__":
    main()
