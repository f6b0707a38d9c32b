import re
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from controlzero.records import Decision
from ingest.admission import RejectedLine, admit_line_by_line, flaw_of
from ingest.logside import LogSide
from ingest.metrics import Counts
from ingest.problems import KINDS, Refusal
from ingest.reference import EXAMPLE, LIMITS, example_call, openapi_of, reference_page
from ingest.rest import rest_app

HTTP_API = Path(__file__).parents[3] / "docs" / "reference" / "http-api.md"


def openapi(tmp_path: Path) -> dict[str, dict[str, object]]:
    return openapi_of(rest_app(LogSide(lambda: pytest.fail("opened")), Counts(), home=tmp_path, clock=lambda: 0))


def test_every_route_is_described_the_hot_one_too(tmp_path: Path) -> None:
    assert {(path, method) for path, methods in openapi(tmp_path)["paths"].items() for method in methods} == {
        ("/v1/decisions", "post"),
        ("/v1/bundle", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }


def test_the_records_are_described_by_their_types(tmp_path: Path) -> None:
    schemas = openapi(tmp_path)["components"]["schemas"]
    assert {"Decision", "Outcome", "Loss", "Receipt", "RejectedLine", "Problem"} <= set(schemas)
    assert schemas["Decision"]["properties"]["kind"] == {"enum": ["decision"]}
    assert set(RejectedLine.__struct_fields__) == set(schemas["RejectedLine"]["properties"])


def test_the_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = reference_page(openapi(tmp_path))
    assert not re.search(r"<script|<img|<iframe|<link|src=|@import|url\(", page)
    assert re.findall(r"href=(\S+?)>", page) == ["/openapi.json"]


def test_the_page_has_an_anchor_for_every_problem(tmp_path: Path) -> None:
    page = reference_page(openapi(tmp_path))
    for slug in KINDS:
        refusal = Refusal(slug, "It happened.")
        assert f'id="{slug}"' in page
        assert f'"type":"/docs#{slug}"'.encode() in refusal.body


def test_the_documentation_names_every_limit_and_every_problem_as_they_are() -> None:
    text = HTTP_API.read_text()
    for what, at_most, past_it in LIMITS:
        assert f"| {what} | {at_most} | {past_it} |" in text
    for slug, kind in KINDS.items():
        assert f"| {kind.status} | `{slug}` | {kind.title} | {kind.next_step} |" in text


def test_the_example_is_a_record_and_is_shown(tmp_path: Path) -> None:
    assert flaw_of(msgspec.json.encode(EXAMPLE)) is None
    route = openapi(tmp_path)["paths"]["/v1/decisions"]["post"]
    assert route["requestBody"]["content"]["application/x-ndjson"]["example"] == EXAMPLE
    assert "--data-binary @- &lt;&lt;END" in reference_page(openapi(tmp_path))


def test_the_example_call_as_printed_sends_a_decision_made_now() -> None:
    assert f"```sh\n{example_call()}\n```" in HTTP_API.read_text()
    as_curl_reads_it = "curl() { cat; }\n" + example_call()
    body = subprocess.run(["bash", "-c", as_curl_reads_it], capture_output=True, check=True).stdout
    assert admit_line_by_line(body).rejected == ()
    assert abs(msgspec.json.decode(body, type=Decision).occurred_at / 1e6 - time.time()) < 60


def test_every_code_of_a_rejected_line_is_in_the_documentation() -> None:
    sources = [path.read_text() for path in (HTTP_API.parents[2] / "ingest").glob("*.py")]
    codes = {code for source in sources for code in re.findall(r'Flaw\(\s*"(\w+)"', source)}
    assert "not_microseconds" in codes
    assert {code for code in codes if f"| `{code}` |" not in HTTP_API.read_text()} == set()
