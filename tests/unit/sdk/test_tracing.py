"""A decision carries the ids of the OpenTelemetry span it was made in, where the host has OpenTelemetry; we never load it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, use_span

from controlzero import Client, context
from controlzero.testing import InMemoryGateway

TRACER = TracerProvider().get_tracer("host")


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]})


def ids(cz: Client, gateway: InMemoryGateway) -> list[tuple[str | None, str | None]]:
    assert cz.flush()
    return [(decision.trace_id, decision.span_id) for decision in gateway.decisions()]


def test_a_decision_carries_the_ids_of_the_running_span(cz: Client, gateway: InMemoryGateway) -> None:
    with TRACER.start_as_current_span("outer") as outer:
        cz.guard("a", "b")
        with TRACER.start_as_current_span("inner") as inner:
            cz.enforce("a.b")
    cz.guard("a", "b")
    said = [(f"{span.get_span_context().trace_id:032x}", f"{span.get_span_context().span_id:016x}") for span in (outer, inner)]
    assert said[0][0] == said[1][0]
    assert ids(cz, gateway) == [*said, (None, None)]


def test_what_the_caller_says_of_its_trace_is_kept_whole(cz: Client, gateway: InMemoryGateway) -> None:
    with TRACER.start_as_current_span("outer"):
        cz.guard("a", "b", context={"trace_id": "mine"})
        with context(trace_id="ambient", span_id="s"):
            cz.guard("a", "b")
    assert ids(cz, gateway) == [("mine", None), ("ambient", "s")]


def test_a_span_without_ids_gives_none(cz: Client, gateway: InMemoryGateway) -> None:
    with use_span(INVALID_SPAN):
        cz.guard("a", "b")
    assert ids(cz, gateway) == [(None, None)]


@pytest.mark.parametrize("name", ["opentelemetry.context", "opentelemetry.trace"])
def test_a_tracer_that_fails_takes_nothing_with_it(
    name: str, cz: Client, gateway: InMemoryGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with TRACER.start_as_current_span("outer"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())  # as while the host is still importing it
        assert cz.guard("a", "b").allowed
    assert ids(cz, gateway) == [(None, None)]
    assert "The running span could not be read" in caplog.text


def test_what_is_around_a_call_need_not_be_a_span(cz: Client, gateway: InMemoryGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    token = attach(set_value("baggage", "of the host"))
    try:
        cz.guard("a", "b")
        monkeypatch.delitem(sys.modules, "opentelemetry.trace")
        cz.guard("a", "b")
    finally:
        detach(token)
    assert ids(cz, gateway) == [(None, None), (None, None)]


def test_a_host_without_opentelemetry_is_not_given_it(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"rules": [{"effect": "allow", "action": "*"}]}')
    script = """
import sys
from controlzero import Client
cz = Client(policy_file=sys.argv[1] + "/policy.json", spool=sys.argv[1])
assert cz.guard("a", "b").allowed
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
