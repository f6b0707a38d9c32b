"""What `wrap_openai` adds to a call that takes its provider 100 ms: plain and wrapped clients in turn, decision and outcome spooled.

The provider is another process that answers after 100 ms. A call's length is the provider's and the network's; what is
added is told in per cent of 100 ms.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

from benchmarks.measure import ROUNDS_MIN, Result
from controlzero import Client
from controlzero.integrations.openai import wrap_openai

ROOT = Path(__file__).parent.parent
BAR_PERCENT = 1.0
ANSWERS_AFTER_S = 0.1
PAIRS = 20  # a round
Took = tuple[float, float]
RULES = [
    *({"effect": "deny", "action": "llm.generate", "resource": f"model/m{n}-*"} for n in range(9)),
    {"effect": "allow", "action": "llm.generate", "resource": "model/gpt-4o-mini"},
]
MESSAGES: Any = [
    {"role": "system", "content": "You answer customers of a shop for bicycles, in two sentences at most."},
    {"role": "user", "content": "My order o-17 has not come yet. I am jane@example.com, can you see where it is?"},
]
PROVIDER = """
import asyncio, json, sys
ANSWER = json.dumps({"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It comes tomorrow."}}],
    "usage": {"prompt_tokens": 60, "completion_tokens": 5, "total_tokens": 65}}).encode()

async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        await asyncio.sleep(float(sys.argv[1]))
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(ANSWER), ANSWER))
        await writer.drain()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def run(rounds: int) -> list[Result]:
    """Measure; the figure is per cent of a plain call."""
    with tempfile.TemporaryDirectory(prefix="cz-wrapped-", dir=ROOT) as name, _provider() as url:
        policy = Path(name) / "policy.json"
        policy.write_text(json.dumps({"name": "benchmark", "rules": RULES}))
        with (
            Client(policy_file=policy, agent_id="bot", spool=Path(name) / "spool") as cz,
            openai.OpenAI(api_key="k", base_url=url) as plain,
        ):
            wrapped = wrap_openai(plain, cz)
            pairs = [_pair(plain, wrapped, is_swapped=bool(number % 2)) for number in range(PAIRS * (max(rounds, ROUNDS_MIN) + 1))]
    measured = pairs[PAIRS:]  # the first round warms both up
    return [_result(measured, which, name) for which, name in enumerate(("wall clock", "CPU of the calling thread"))]


def _result(pairs: list[tuple[Took, Took]], which: int, name: str) -> Result:
    plain_ms, wrapped_ms = (_undisturbed([pair[side][which] for pair in pairs]) * 1e3 for side in (0, 1))
    note = f"{(wrapped_ms - plain_ms) * 1e3:,.0f} µs on {plain_ms:.2f} ms; {len(pairs)} pairs"
    percent = (wrapped_ms - plain_ms) / (ANSWERS_AFTER_S * 1e3) * 100
    return Result(name=f"added to a call of 100 ms, {name}", ours=percent, bar=BAR_PERCENT, unit="%", higher_is_better=False, note=note)


def _undisturbed(took_s: list[float]) -> float:
    """Return the lower decile: above it are other processes' turns, of which a call that waits 100 ms gets many."""
    return statistics.quantiles(took_s, n=10)[0]


def _pair(plain: openai.OpenAI, wrapped: openai.OpenAI, *, is_swapped: bool) -> tuple[Took, Took]:
    """Return what a plain and a wrapped call took, asked in turn."""
    if is_swapped:
        after = _took(wrapped.chat.completions.create)
        return _took(plain.chat.completions.create), after
    return _took(plain.chat.completions.create), _took(wrapped.chat.completions.create)


def _took(create: Callable[..., Any]) -> Took:
    """Return the seconds of a call, on the wall and of this thread's CPU."""
    started, cpu = time.perf_counter(), time.thread_time()
    answer = create(model="gpt-4o-mini", messages=MESSAGES, temperature=0.2)
    took = time.perf_counter() - started, time.thread_time() - cpu
    assert answer.usage.total_tokens == 65
    return took


@contextmanager
def _provider() -> Iterator[str]:
    command = [sys.executable, "-c", PROVIDER, str(ANSWERS_AFTER_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"  # type: ignore[union-attr]  # a pipe
        finally:
            process.kill()
