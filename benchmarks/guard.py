"""`guard()` against an OpenTelemetry span with 20 attributes and a batch processor, each call timed, alternating.

Ten rules, 200 bytes of arguments, redacted and spooled: what `guard()` returned survives `kill -9`. Two cases:
without a server, and with a gateway in another process that takes what the sender brings meanwhile. The span's
exporter drops what it gets, so both sides are measured on what they cost the caller.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.measure import ROUNDS_MIN, Result, p99
from controlzero import Client
from controlzero.testing import InMemoryGateway

ROOT = Path(__file__).parent.parent
BAR = 0.8
CALLS = 10_000
SPOOL_BYTES_MAX = 2**34  # more than all rounds write: a full spool would be another measurement
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


def run(rounds: int) -> list[Result]:
    """Measure both cases; the figures are µs a call, the medians of the rounds' medians and 99th percentiles."""
    with tempfile.TemporaryDirectory(prefix="cz-guard-", dir=ROOT) as name:  # on the project's disk: /tmp may be memory
        folder = Path(name)
        policy = folder / "policy.json"
        policy.write_text(json.dumps({"name": "benchmark", "rules": RULES}))
        with Client(policy_file=policy, agent_id="sales-agent", spool=folder / "local", spool_bytes_max=SPOOL_BYTES_MAX) as cz:
            results = _compared("without a server", _a_guard(cz), rounds)
        with (
            _receiver(folder) as url,
            Client(api_key="cz_test_benchmark", base_url=url, spool=folder / "served", spool_bytes_max=SPOOL_BYTES_MAX) as cz,
        ):
            results += _compared("with a gateway beside", _a_guard(cz), rounds)
            cz.flush(timeout_s=60)
    return results


def _compared(case: str, guard: Callable[[], object], rounds: int) -> list[Result]:
    calls = {"ours": guard, "reference": _a_span()}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(max(rounds, ROUNDS_MIN) + 1):
        for name in sorted(calls, reverse=bool(number % 2)):
            took_ns = _timed(calls[name])
            if number:  # the first round warms both up
                figures[name].append((statistics.median(took_ns) / 1e3, p99(took_ns) / 1e3))
    return [_result(f"{case}, {which}", figures, place) for place, which in enumerate(("p50", "p99"))]


def _result(name: str, figures: dict[str, list[tuple[float, float]]], place: int) -> Result:
    ours, reference = (statistics.median(pair[place] for pair in figures[side]) for side in ("ours", "reference"))
    ratio = statistics.median(mine[place] / other[place] for mine, other in zip(figures["ours"], figures["reference"], strict=True))
    note = f"the reference is a span with 20 attributes; {CALLS:,} calls a round"
    return Result(name=name, ours=ours, reference=reference, ratio=ratio, bar=BAR, unit="µs", higher_is_better=False, note=note)


class Dropped(SpanExporter):
    """An exporter that costs nothing."""

    def export(self, spans: Sequence[object]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def _a_span() -> Callable[[], object]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropped()))
    tracer = provider.get_tracer("benchmark")

    def span() -> None:
        with tracer.start_as_current_span("guard") as current:
            for name, value in ATTRIBUTES.items():
                current.set_attribute(name, value)

    return span


def _a_guard(cz: Client) -> Callable[[], object]:
    def guard() -> object:
        return cz.guard("database", method="query", args=ARGS)

    assert guard(), "the call must be allowed, as most are"
    return guard


def _timed(call: Callable[[], object]) -> list[int]:
    """Return what each of `CALLS` calls took, in nanoseconds."""
    took_ns = []
    now = time.perf_counter_ns
    for _ in range(CALLS):
        before = now()
        call()
        took_ns.append(now() - before)
    return took_ns


@contextmanager
def _receiver(folder: Path) -> Iterator[str]:
    """Run the receiver in a process of its own; gives its URL."""
    gateway = InMemoryGateway(policy={"name": "benchmark", "rules": RULES}, mode="enforce")
    answer = gateway.handle_request(httpx.Request("GET", "http://gateway/v1/bundle"))
    (folder / "bundle").write_bytes(answer.content)
    headers = [f"{name}: {answer.headers[name]}\r\n" for name in ("etag", "cz-mode", "cz-signing-key", "cz-project-key")]
    (folder / "headers").write_text("".join(headers), newline="")
    command = [sys.executable, "-m", "benchmarks.guard_receiver", str(folder / "bundle"), str(folder / "headers")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[union-attr]  # a pipe
        finally:
            process.kill()
