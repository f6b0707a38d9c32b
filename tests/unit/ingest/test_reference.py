import re
from pathlib import Path

import pytest

from ingest.admission import RejectedLine
from ingest.logside import LogSide
from ingest.metrics import Counts
from ingest.problems import KINDS, Refusal
from ingest.reference import LIMITS, openapi_of, reference_page
from ingest.rest import rest_app

HTTP_API = Path(__file__).parents[3] / "docs" / "reference" / "http-api.md"


def openapi(tmp_path: Path) -> dict[str, dict[str, object]]:
    return openapi_of(rest_app(LogSide(lambda: pytest.fail("opened")), Counts(), home=tmp_path))


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
