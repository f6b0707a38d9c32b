"""One agent of the cast, live: a process of its own that asks the real SDK before every call.

Usage: python -m cz.demo.live NAME [--seed N] [--per-second R] [--leaks] [--stale]
"""

import argparse
import contextlib
import signal
import time
from random import Random

import httpx

import controlzero
from cz.demo.cast import BY_NAME, Agent, leak


class FirstBundleOnly(httpx.HTTPTransport):
    """A network on which only the first bundle comes through: what makes an agent's bundle stale."""

    has_bundle = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, unless it asks for another bundle."""
        if request.url.path == "/v1/bundle":
            if self.has_bundle:
                raise httpx.ConnectError("the way to newer bundles is cut", request=request)
            self.has_bundle = True
        return super().handle_request(request)


class _Stopped(Exception):  # noqa: N818 - how a signal ends the loop, not an error
    pass


def main() -> None:
    """Act until told to stop."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    transport = FirstBundleOnly() if options.stale else None
    with controlzero.Client(agent_id=options.name, environment="production", transport=transport) as client, contextlib.suppress(_Stopped):
        act(client, BY_NAME[options.name], Random(options.seed), per_second=options.per_second, leaks=options.leaks)


def act(client: controlzero.Client, agent: Agent, random: Random, *, per_second: float, leaks: bool) -> None:
    """Make the agent's calls, one after another, in sessions."""
    session, left, user = "", 0, agent.users[0]
    while True:
        if left <= 0:
            session, left, user = f"s-{random.getrandbits(48):012x}", random.randrange(3, 16), random.choice(agent.users)
        left -= 1
        call = leak(random) if leaks and random.random() < 0.3 else agent.next_call(random)
        context = {"user_id": user, "user_group": agent.user_group, "session_id": session}
        if call.resource:
            context["resource"] = call.resource
        decision = client.guard(call.tool, method=call.method, args=call.args, context=context)
        if decision.allowed:
            latency_s = random.uniform(0.01, 0.12)
            time.sleep(latency_s)
            is_model = call.tool == "llm"
            decision.outcome(
                latency_ms=latency_s * 1000,
                input_tokens=random.randrange(120, 2_400) if is_model else None,
                output_tokens=random.randrange(40, 700) if is_model else None,
            )
        time.sleep(random.expovariate(per_second))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cz.demo.live", description=__doc__)
    parser.add_argument("name", choices=sorted(BY_NAME))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-second", type=float, default=0.5)
    parser.add_argument("--leaks", action="store_true", help="write personal data into what it sends")
    parser.add_argument("--stale", action="store_true", help="keep the first bundle for ever")
    return parser.parse_args()


def _stop(_number: int, _frame: object) -> None:
    raise _Stopped


if __name__ == "__main__":
    main()
