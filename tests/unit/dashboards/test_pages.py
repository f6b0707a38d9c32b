import html
import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from dashboards.views import PAGES
from tests.ledgers import HOSTILE_ACTION, Grown, empty_home, grown_home

NAMES = [page.name for page in PAGES]


def draw(page, desk):  # its source alone is run, so no annotation
    from dashboards import frame
    from dashboards.views import PAGES

    frame.run(next(each for each in PAGES if each.name == page), desk)


def open_page(name: str, desk: Desk, **address: str | list[str]) -> AppTest:
    app = AppTest.from_function(draw, default_timeout=20, kwargs={"page": name, "desk": desk})
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def words_of(app: AppTest) -> str:
    return "\n".join(str(piece.proto.body) for piece in app.html if "<style>" not in str(piece.proto.body))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_draws_a_fortnight_without_an_error(name: str, grown_desk: Desk, grown: Grown) -> None:
    app = open_page(name, grown_desk, range="14d", id=grown.denied_logged)
    assert not app.exception
    assert "could not be drawn" not in words_of(app)
    assert "Not found" not in words_of(app)
    assert "<h1" in words_of(app)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_any_decision_draws_and_teaches(name: str, empty_desk: Desk) -> None:
    app = open_page(name, empty_desk)
    words = words_of(app)
    assert not app.exception
    assert "could not be drawn" not in words
    if name in ("overview", "decisions", "findings", "rollout", "pipeline"):
        assert "No decision yet" in words
        assert "CONTROLZERO_API_KEY" in app.code[0].value


@pytest.mark.parametrize("name", NAMES)
def test_a_page_over_a_folder_with_nothing_at_all_says_how_to_begin(name: str, tmp_path: Any) -> None:
    desk = open_desk(Settings(home=tmp_path / "new", actor="tester"))
    app = open_page(name, desk)
    assert not app.exception
    assert "No project yet" in words_of(app)
    desk.plane.close()


@pytest.mark.parametrize("name", NAMES)
def test_names_agents_chose_are_never_markup(name: str, grown_desk: Desk) -> None:
    words = words_of(open_page(name, grown_desk, range="14d"))
    assert "<img" not in words
    assert "<script" not in words
    assert "\u202e" not in words


def test_a_name_that_is_markup_is_shown_as_it_is(grown_desk: Desk) -> None:
    assert HOSTILE_ACTION[:12].replace("<", "&lt;") in words_of(open_page("decisions", grown_desk, range="14d", q="<img src"))


@pytest.mark.parametrize("name", NAMES)
def test_no_page_says_blocked(name: str, grown_desk: Desk, grown: Grown) -> None:
    app = open_page(name, grown_desk, range="14d", id=grown.denied_logged)
    assert "blocked" not in words_of(app).lower()


def test_a_logged_denial_is_called_so_on_its_page(grown_desk: Desk, grown: Grown) -> None:
    words = words_of(open_page("decision", grown_desk, id=grown.denied_logged))
    assert "deny (logged only)" in words
    assert "The mode was log-only" in words
    assert "cz-line-chosen" in words or "No rule matches" in words


def test_the_decision_of_another_project_is_not_found(grown_desk: Desk, grown: Grown) -> None:
    assert "Not found" in words_of(open_page("decision", grown_desk, project="default", id=grown.other_projects))
    assert "Not found" not in words_of(open_page("decision", grown_desk, project="payments", id=grown.other_projects))


@pytest.mark.parametrize("text", ["nope", "00000000-0000-4000-8000-000000000000", "<script>alert(1)</script>"])
def test_an_id_that_is_none_is_not_found(text: str, grown_desk: Desk) -> None:
    words = words_of(open_page("decision", grown_desk, id=text))
    assert "Not found" in words
    assert "<script" not in words


def test_a_project_there_is_not_is_not_found_and_the_others_are_named(grown_desk: Desk) -> None:
    words = words_of(open_page("overview", grown_desk, project="elsewhere"))
    assert "There is no project elsewhere" in words
    assert "payments" in words


def test_filters_in_the_address_narrow_the_list(grown_desk: Desk) -> None:
    everything = words_of(open_page("decisions", grown_desk, range="14d"))
    narrowed = words_of(open_page("decisions", grown_desk, range="14d", agent="trading-agent", standing=["deny", "deny_logged"]))
    assert "healthcare-agent" in everything
    assert "healthcare-agent" not in narrowed
    assert "asset/BTC" in narrowed


def test_a_filter_nothing_matches_says_so_and_leads_back(grown_desk: Desk) -> None:
    words = words_of(open_page("decisions", grown_desk, range="14d", agent="nobody"))
    assert "No decision matches" in words
    assert "Start over" in words


def test_a_search_finds_text_in_masked_arguments(grown_desk: Desk) -> None:
    words = words_of(open_page("decisions", grown_desk, range="14d", q="portfolio-SUMMARY"))
    assert "report:generate" in words
    assert "llm:generate" not in words


def test_paging_goes_on_where_the_page_ended(grown_desk: Desk) -> None:
    first = words_of(open_page("decisions", grown_desk, range="14d"))
    older = next(html.unescape(found) for found in re.findall(r'href="([^"]+)"', first) if "older_at" in found)
    second = words_of(open_page("decisions", grown_desk, **dict(parse_qsl(urlsplit(older).query))))
    ids = [set(re.findall(r"decision\?project=default&amp;id=([0-9a-f-]{36})", words)) for words in (first, second)]
    assert len(ids[0]) == len(ids[1]) == 50
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    "address",
    [
        {"range": "zzz"},
        {"standing": "zzz"},
        {"older_at": "x", "older_id": "y"},
        {"version": "zz"},
        {"finding": "zzz"},
        {"range": "custom", "from": "nonsense", "until": "x"},
    ],
)
@pytest.mark.parametrize("name", ["overview", "decisions", "findings", "policies"])
def test_a_mangled_address_draws_all_the_same(name: str, address: dict[str, str], grown_desk: Desk) -> None:
    app = open_page(name, grown_desk, **address)
    assert not app.exception
    assert "could not be drawn" not in words_of(app)


def test_the_switch_of_the_mode_states_its_consequence_before_it_changes_anything(tmp_path: Any) -> None:
    grown = grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=40)
    desk = open_desk(Settings(home=grown.home, actor="ada"))
    app = open_page("rollout", desk)
    app.button(key="to-log-only").click().run()
    assert "would have <b>gone ahead</b>" in words_of(app)
    assert desk.plane.project("default").mode == "enforce"  # asking changes nothing
    desk.plane.close()


def test_a_policy_with_problems_names_each_by_its_path_and_changes_nothing(tmp_path: Any) -> None:
    home = empty_home(tmp_path, now_us=1)
    desk = open_desk(Settings(home=home, actor="ada"))
    app = open_page("policies", desk)
    app.text_area(key="policy-text").input("rules:\n- effect: perhaps\n  action: llm:*\n- effect: deny\n  acton: x\n").run()
    words = words_of(app)
    assert "rules[0].effect" in words
    assert "rules[1]" in words
    assert desk.plane.project("default").version == 1
    desk.plane.close()


def test_a_valid_policy_shows_its_difference_and_is_put_in_force(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=empty_home(tmp_path, now_us=1), actor="ada"))
    app = open_page("policies", desk)
    app.text_area(key="policy-text").input("name: mine\nrules:\n- effect: allow\n  action: llm:generate\n").run()
    assert "cz-line-added" in words_of(app)
    app.text_input(key="policy-why").input("a start").run()
    app.button(key="policy-apply").click().run()
    assert not app.exception
    version = desk.plane.policy("default")
    assert (version.version, version.policies[0]["name"], version.created_by, version.why) == (2, "mine", "ada", "a start")
    desk.plane.close()


def test_looking_at_quarantined_bytes_masks_them_and_is_written_to_the_control_log(tmp_path: Any) -> None:
    grown = grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=20)
    desk = open_desk(Settings(home=grown.home, actor="ada"))
    app = open_page("pipeline", desk, range="14d")
    app.button(key="peek-show").click().run()
    assert not app.exception
    assert "SHA-256" in words_of(app)
    assert desk.plane.control_log("default", limit=1)[0].action == "quarantine.read"
    desk.plane.close()


def test_a_defect_shows_a_reference_and_no_traceback(grown_desk: Desk) -> None:
    def broken(desk):
        from dashboards import frame

        def show(view):
            raise ZeroDivisionError("secret detail")

        page = frame.Page(name="overview", title="Broken", icon="", section="", show=show, summary="")
        frame.run(page, desk)

    app = AppTest.from_function(broken, default_timeout=20, kwargs={"desk": grown_desk}).run()
    assert not app.exception
    assert "Its reference is" in words_of(app)
    assert "secret detail" not in words_of(app)
