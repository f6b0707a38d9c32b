from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboards.urls import VALUES_MAX, Filters, address, filters_of, id_of, place_of
from dashboards.window import CUSTOM, Window


def test_a_link_reads_back_as_the_filters_it_was_made_of() -> None:
    filters = Filters(standing=("deny", "deny_logged"), agent=("a&b=c", "ünï"), q="x=1&y", session=("s 1",))
    link = address("decisions", project="p", **{name: getattr(filters, name) for name in filters.__dataclass_fields__})
    assert filters_of(parse_qs(urlsplit(link).query)) == filters


def test_a_link_carries_its_project_and_window() -> None:
    window = Window(name=CUSTOM, from_at=datetime(2026, 11, 1, tzinfo=UTC), until_at=datetime(2026, 12, 1, tzinfo=UTC))
    query = parse_qs(urlsplit(address("compliance", project="p q", window=window)).query)
    assert query == {"project": ["p q"], "range": ["custom"], "from": ["2026-11-01T00:00"], "until": ["2026-12-01T00:00"]}


def test_the_overview_is_the_root_and_links_are_relative_so_that_a_base_path_holds() -> None:
    assert address("overview", project="p").startswith("?")
    assert address("decision", project="p", id="x").startswith("decision?")


def test_what_is_no_standing_is_left_out() -> None:
    assert filters_of({"standing": ["deny", "<script>", "allow"]}).standing == ("deny", "allow")


def test_an_endless_address_is_cut() -> None:
    asked = filters_of({"agent": [f"a{i}" for i in range(500)], "q": ["x" * 10_000]})
    assert (len(asked.agent), len(asked.q)) == (VALUES_MAX, 200)


@pytest.mark.parametrize("text", ["", "nope", "' OR 1=1", "00000000-0000-0000-0000-00000000000g"])
def test_what_is_no_id_is_none(text: str) -> None:
    assert id_of(text) is None


def test_a_place_that_is_none_is_the_start() -> None:
    assert place_of("yesterday", "x") == (None, None)


@pytest.mark.parametrize(
    ("filters", "beyond"),
    [(Filters(agent=("a",)), False), (Filters(q="x"), True), (Filters(session=("s",)), True), (Filters(finding=("email",)), False)],
)
def test_rollups_are_asked_wherever_they_know_enough(filters: Filters, beyond: bool) -> None:
    assert filters.beyond_rollup is beyond
