"""`guard()` against an OpenTelemetry span with 20 attributes and a batch processor, each call timed, alternating.

Ten rules, 200 bytes of arguments, redacted and spooled: what `guard()` returned survives `kill -9`. Two cases:
without a server, and with a gateway in another process that takes what the sender brings meanwhile. The span's
exporter drops what it gets, so both sides are measured on what they cost the caller.
`python benchmarks/guard.py [--rounds 5]`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from controlzero import Client

ROOT = Path(__file__).parent.parent
BAR = 0.8
CALLS = 10_000
RULES = [
    *({"effect": "deny" if n % 3 else "allow", "action": f"tool{n}:*", "resource": f"table/t{n}*"} for n in range(7)),
    {"effect": "allow", "action": "database:query", "resource": "table/customers", "conditions": {"agent_id": "admin-*"}},
    {"effect": "allow", "action": "database:query", "resource": "table/orders"},
    {"effect": "deny", "action": "*"},
]
ARGS = {
    "sql": "select * from orders where region = 'emea' and state = 'open' order by created_at limit 100",
    "table": "orders",
    "limit": 100,
    "dry_run": False,
    "note": "the nightly report for the sales team in Lisbon",
}
ATTRIBUTES = {f"gen_ai.attribute.{n}": f"the value of number {n}" if n % 2 else n for n in range(20)}

# A gateway as far as the sender can tell, and as little of one as can be: what it costs is not what is measured.
RECEIVER = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            lengths = [line[15:] for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            if head.startswith(b"GET"):
                bundle = open(sys.argv[1], "rb").read()
                extra = open(sys.argv[2], "rb").read()
                await asyncio.sleep(0 if b"wait_s" not in head else 20)
                writer.write(b"HTTP/1.1 200 OK\\r\\n" + extra + b"content-length: %d\\r\\n\\r\\n" % len(bundle) + bundle)
            else:
                answer = b'{"accepted":0,"rejected":[]}'
                writer.write(b"HTTP/1.1 202 Accepted\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(answer) + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Dropped(SpanExporter):
    """An exporter that costs nothing."""

    def export(self, spans: Sequence[object]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def a_span() -> Callable[[], object]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropped()))
    tracer = provider.get_tracer("benchmark")

    def span() -> None:
        with tracer.start_as_current_span("guard") as current:
            for name, value in ATTRIBUTES.items():
                current.set_attribute(name, value)

    return span


def a_guard(cz: Client) -> Callable[[], object]:
    def guard() -> object:
        return cz.guard("database", method="query", args=ARGS)

    assert guard(), "the call must be allowed, as most are"
    return guard


def timed(call: Callable[[], object]) -> list[int]:
    """Return what each of `CALLS` calls took, in nanoseconds."""
    took_ns = []
    now = time.perf_counter_ns
    for _ in range(CALLS):
        before = now()
        call()
        took_ns.append(now() - before)
    return took_ns


def compared(case: str, guard: Callable[[], object], rounds: int) -> dict[str, object]:
    """Alternate both over the rounds; return the medians of the rounds' medians and 99th percentiles."""
    calls = {"ours": guard, "reference": a_span()}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name in sorted(calls, reverse=bool(number % 2)):
            took_ns = timed(calls[name])
            if number:  # the first round warms both up
                figures[name].append((statistics.median(took_ns) / 1e3, statistics.quantiles(took_ns, n=100)[98] / 1e3))
    row: dict[str, object] = {"case": case, "rounds": rounds, "calls": CALLS, "bar": BAR}
    for place, which in enumerate(("p50", "p99")):
        for name, pairs in figures.items():
            row[f"{name}_{which}_us"] = round(statistics.median(pair[place] for pair in pairs), 2)
        ratios = [ours[place] / reference[place] for ours, reference in zip(figures["ours"], figures["reference"], strict=True)]
        row[f"ratio_{which}"] = round(statistics.median(ratios), 3)
    return row


def measure(rounds: int, folder: Path) -> list[dict[str, object]]:
    """Measure both cases and return a row for each."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps({"name": "benchmark", "rules": RULES}))
    cz = Client(policy_file=policy, agent_id="sales-agent", spool=folder / "local", spool_bytes_max=2**34)
    rows = [compared("without a server", a_guard(cz), rounds)]
    cz.close()
    with receiver(folder) as url, Client(api_key="cz_test_benchmark", base_url=url, spool=folder / "served", spool_bytes_max=2**34) as cz:
        rows.append(compared("with a gateway beside", a_guard(cz), rounds))
        cz.flush(timeout_s=60)
    return rows


class receiver:  # noqa: N801 - read as the block it opens
    """Run the receiver in a process of its own; gives its URL."""

    def __init__(self, folder: Path) -> None:
        import httpx

        from controlzero.testing import InMemoryGateway

        answer = InMemoryGateway(policy={"name": "benchmark", "rules": RULES}, mode="enforce").handle_request(
            httpx.Request("GET", "http://gateway/v1/bundle")
        )
        (folder / "bundle").write_bytes(answer.content)
        headers = [f"{name}: {answer.headers[name]}\r\n" for name in ("etag", "cz-mode", "cz-signing-key", "cz-project-key")]
        (folder / "headers").write_text("".join(headers), newline="")
        self._process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, str(folder / "bundle"), str(folder / "headers")], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.wait()


def line_of(row: dict[str, object]) -> str:
    figures = [
        f"{which} {row[f'ours_{which}_us']} µs : {row[f'reference_{which}_us']} µs = {row[f'ratio_{which}']}" for which in ("p50", "p99")
    ]
    return f"guard() : span, {row['case']:<22} {'   '.join(figures)}   (bar {row['bar']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cz-bench-", dir=ROOT) as folder:
        rows = measure(arguments.rounds, Path(folder))
    for row in rows:
        print(line_of(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))
    sys.exit(any(row[f"ratio_{which}"] > BAR for row in rows for which in ("p50", "p99")))


if __name__ == "__main__":
    main()
