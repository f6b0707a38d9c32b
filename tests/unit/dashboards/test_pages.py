import html
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.desk import Desk, from_micros, open_desk
from dashboards.settings import Settings
from dashboards.views import PAGES
from dashboards.words import moment
from processors.watch.alerts import Alert, append
from tests.ledgers import HOSTILE_ACTION, PERSON, POLICY, Grown, empty_home, grown_home, land_a_line_that_could_not_be_taken, land_one_more
from warehouse.snapshot import Warehouse

NAMES = [page.name for page in PAGES]
NO_FILTER = {name: [] for name in ("standing", "mode", "agent", "action", "resource", "rule", "session", "bundles")} | {
    "finding": ["email"]
}
FIRST_PAGE = {"candidate": "", "change": "", "q": "", "older_than_at": None, "older_than_id": None, "limit": 1}
ONE_MASKED = "SELECT decision_id FROM decisions WHERE resource = 'channel/email-customers' LIMIT 1"
LONG_BEFORE, LONG_AFTER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


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
    desk.close()


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


@pytest.mark.parametrize("name", NAMES)
def test_a_project_there_is_not_leads_to_those_there_are(name: str, grown_desk: Desk) -> None:
    app = open_page(name, grown_desk, project="<b>elsewhere</b>")
    words = words_of(app)
    assert "There is no project &lt;b&gt;elsewhere&lt;/b&gt;" in words
    assert "project=payments" in words
    assert "&lt;a" not in words  # a link is no text
    assert app.selectbox(key="project-there-is").options == ["default", "payments"]
    app.selectbox(key="project-there-is").select("payments").run()
    assert "There is no project" not in words_of(app)


def test_the_bench_holds_the_call_of_a_decision_until_it_is_changed(grown_desk: Desk, grown: Grown) -> None:
    to = re.search(r'href="([^"]+)"[^>]*>Try this call', words_of(open_page("decision", grown_desk, id=grown.denied)))
    assert to is not None
    app = open_page("policies", grown_desk, **dict(parse_qsl(urlsplit(html.unescape(to[1])).query)))
    assert "The call of" in words_of(app)
    assert f"decision?project=default&amp;id={grown.denied}" in words_of(app)
    assert "changed since" not in words_of(app)
    assert "session_id" in app.text_area(key="trial-context").value
    app.text_area(key="trial-args").set_value('{"typed": 1}').run()
    assert app.text_area(key="trial-args").value == '{"typed": 1}'
    assert "changed since" in words_of(app)


def test_a_mask_in_a_call_that_is_tried_is_said_to_be_one(grown_desk: Desk, grown: Grown) -> None:
    rows = Warehouse.open(grown.home / "warehouse" / "ledger").session("default").sql(ONE_MASKED, {}).to_pylist()
    app = open_page("policies", grown_desk, **{"try": "notification:send", "decision": str(uuid.UUID(bytes=rows[0]["decision_id"]))})
    assert "[email:kdfbcaemph]" in app.text_area(key="trial-args").value
    assert 'A mask, or a part, is all that is kept of the value at <span class="cz-mono" title="args.message">' in words_of(app)


@pytest.mark.parametrize("named", ["other_projects", "<b>nope</b>"])
def test_the_bench_takes_no_decision_of_another_project(named: str, grown_desk: Desk, grown: Grown) -> None:
    app = open_page("policies", grown_desk, project="default", decision=getattr(grown, named, named), **{"try": "shell:run"})
    words = words_of(app)
    assert "There is no decision" in words
    assert "<b>nope" not in words
    assert not app.text_area(key="trial-args").value
    assert "no-shell" in words


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


def test_a_person_is_found_by_the_mask_they_are_kept_as(grown_desk: Desk) -> None:
    app = open_page("decisions", grown_desk, range="14d", q=PERSON)
    words = words_of(app)
    assert "No decision matches" not in words
    assert "is kept as its mask" in words
    assert app.text_input("q").value.startswith("[email:")
    assert PERSON not in str(app.query_params) + words, "what was typed goes no further"
    decision = next(found for found in re.findall(r'href="decision\?[^"]*id=([0-9a-f-]+)', words))
    shown = words_of(open_page("decision", grown_desk, id=decision))
    (everywhere,) = {html.unescape(found) for found in re.findall(r'class="cz-mask" href="([^"]+)"', shown) if "email" in found}
    again = open_page("decisions", grown_desk, **dict(parse_qsl(urlsplit(everywhere).query)))
    assert decision in words_of(again)


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
    desk.close()


def test_a_policy_with_problems_names_each_by_its_path_and_changes_nothing(tmp_path: Any) -> None:
    home = empty_home(tmp_path, now_us=1)
    desk = open_desk(Settings(home=home, actor="ada"))
    app = open_page("policies", desk)
    app.text_area(key="policy-default-text").input("rules:\n- effect: perhaps\n  action: llm:*\n- effect: deny\n  acton: x\n").run()
    words = words_of(app)
    assert "rules[0].effect" in words
    assert "rules[1]" in words
    assert desk.plane.project("default").version == 1
    desk.close()


def test_a_policy_that_can_hardly_be_meant_is_warned_of_and_can_be_applied(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=empty_home(tmp_path, now_us=1), actor="ada"))
    app = open_page("policies", desk)
    app.text_area(key="policy-default-text").input("rules:\n- effect: deny\n  action: '*'\n- effect: allow\n  action: llm:generate\n").run()
    words = words_of(app)
    assert "denies everything" in words
    assert "can never decide" in words
    assert "line 4" in words
    assert app.button(key="policy-default-apply")
    desk.close()


def test_a_valid_policy_shows_its_difference_and_is_put_in_force(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=empty_home(tmp_path, now_us=1), actor="ada"))
    app = open_page("policies", desk)
    app.text_area(key="policy-default-text").input("name: mine\nrules:\n- effect: allow\n  action: llm:generate\n").run()
    assert "cz-line-added" in words_of(app)
    app.text_input(key="policy-default-why").input("a start").run()
    app.button(key="policy-default-apply").click().run()
    assert not app.exception
    version = desk.plane.policy("default")
    assert (version.version, version.policies[0]["name"], version.created_by, version.why) == (2, "mine", "ada", "a start")
    desk.close()


def test_looking_at_quarantined_bytes_masks_them_and_is_written_to_the_control_log(tmp_path: Any) -> None:
    grown = grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=20)
    desk = open_desk(Settings(home=grown.home, actor="ada"))
    app = open_page("pipeline", desk, range="14d")
    app.button(key="peek-show").click().run()
    assert not app.exception
    assert "SHA-256" in words_of(app)
    assert desk.plane.control_log("default", limit=1)[0].action == "quarantine.read"
    desk.close()


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


LONG_AGO = {"range": "custom", "from": "2020-01-01T00:00", "until": "2020-01-02T00:00"}


@pytest.mark.parametrize("name", ["overview", "decisions", "findings", "rollout", "policies", "compliance"])
def test_a_period_without_decisions_says_when_the_last_was_and_leads_there(name: str, grown_desk: Desk) -> None:
    words = words_of(open_page(name, grown_desk, **LONG_AGO))
    assert "No decision in this period" in words
    assert "The project&#39;s last decision was" in words
    there = re.search(r'href="([^"]*)">Show the last', words)
    assert there
    to = dict(parse_qsl(urlsplit(html.unescape(there[1])).query))
    assert "<h3>No decision in this period" not in words_of(open_page(name, grown_desk, **to))


def test_a_period_in_which_nothing_was_received_leads_to_one_in_which_something_was(grown_desk: Desk) -> None:
    words = words_of(open_page("pipeline", grown_desk, **LONG_AGO))
    assert "Nothing was received in this period" in words
    assert "Show the last" in words


@pytest.mark.parametrize("name", NAMES)
def test_a_period_with_decisions_does_not_speak_of_others(name: str, grown_desk: Desk) -> None:
    words = words_of(open_page(name, grown_desk, range="14d"))
    assert "<h3>No decision in this period" not in words


def test_quarantined_lines_are_shown_where_there_is_no_decision_at_all(tmp_path: Any) -> None:
    now_us = time.time_ns() // 1000
    home = empty_home(tmp_path, now_us=now_us)
    land_a_line_that_could_not_be_taken(home, now_us=now_us)
    desk = open_desk(Settings(home=home, actor="ada"))
    words = words_of(open_page("pipeline", desk))
    assert "No decision yet" in words
    assert "The line is not UTF-8" in words
    desk.close()


def test_rollout_speaks_of_no_denial_that_an_earlier_policy_made(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=40).home, actor="ada"))
    before = words_of(open_page("rollout", desk, range="14d"))
    assert "by earlier ones" not in before
    assert "no-mail" in before
    desk.plane.apply_policy("default", {"name": "new", "rules": [{"effect": "allow", "action": "*"}]}, actor="ada")
    after = words_of(open_page("rollout", desk, range="14d"))
    assert "No call was judged by this policy yet" in after
    assert re.search(
        r"0 of [\d,]+ decisions in the last 14 days were judged by the policy in force; left out here: [\d,]+ by earlier ones", after
    )
    assert "would have been denied" not in after
    assert "no-mail" not in after
    desk.close()


def test_rollout_under_enforce_counts_what_was_denied(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=60).home, actor="ada"))
    words = words_of(open_page("rollout", desk, range="24h"))  # it has enforced for two days
    assert "What the policy in force denies" in words
    assert re.search(
        r"In the last 24 h, of [\d,]+ calls judged by this policy, <b>[\d,]+ calls? by \d agents?</b> (was|were) denied", words
    )
    assert words.count("change=denied") >= 4  # rule, agent, action and resource each lead to what they count
    desk.close()


def test_a_policy_is_in_force_since_it_was_applied_and_not_since_the_mode_was_switched(tmp_path: Any) -> None:
    now_us = time.time_ns() // 1000
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=now_us, per_day=20).home, actor="ada"))
    words = words_of(open_page("rollout", desk))
    applied = next(
        version for version in reversed(desk.plane.policy_versions("default")) if len(version.policies[0]["rules"]) == len(POLICY["rules"])
    )
    assert applied.created_at < now_us - 8 * 86_400_000_000
    assert f"in force since {moment(from_micros(applied.created_at))} UTC" in words
    desk.close()


def test_a_policy_for_a_project_that_enforces_is_asked_about_first(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=20).home, actor="ada"))
    before = desk.plane.project("default").version
    app = open_page("policies", desk)
    app.text_area(key="policy-default-text").input("name: shut\nrules:\n- effect: deny\n  action: shell:*\n").run()
    app.button(key="policy-default-apply").click().run()
    words = words_of(app)
    assert "what the policy denies does not go ahead" in words
    assert "No rule of it allows anything" in words
    assert desk.plane.project("default").version == before  # asking changes nothing
    desk.close()


def test_a_candidate_is_put_in_force_after_its_consequence_was_stated(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=60).home, actor="ada"))
    (candidate,) = desk.plane.list_candidates("default")
    app = open_page("rollout", desk, range="14d")
    app.button(key=f"promote-{candidate.digest}").click().run()
    words = words_of(app)
    assert re.search(
        r"Of [\d,]+ calls it judged in the last 14 days, <b>[1-9]\d*</b> would be newly denied and <b>\d+</b> newly allowed", words
    )
    assert "what the policy denies does not go ahead" in words
    assert "No rule of it allows anything" not in words
    assert desk.plane.policy("default").policies[0]["name"] != candidate.name
    desk.close()


def test_an_alert_has_one_start_wherever_it_is_shown(tmp_path: Any) -> None:
    grown = grown_home(tmp_path, now_us=time.time_ns() // 1000, per_day=20)
    since_at = grown.now_us - 600_000_000
    append(grown.home / "alerts.jsonl", [Alert(
        alert_id="a" * 32, project_id="default", state="firing", since_at=since_at, changed_at=since_at + 60_000_000, window_minutes=1, denials=50,
        decisions=60, before_denials=3, before_minutes=60, p=1e-9, message="denials jumped",
    )])  # fmt: skip
    desk = open_desk(Settings(home=grown.home, actor="ada"))
    for page in ("overview", "pipeline"):
        words = words_of(open_page(page, desk))
        assert moment(from_micros(since_at)) in words
        assert moment(from_micros(since_at + 60_000_000)) not in words
    desk.close()


def test_what_masked_a_value_is_said_by_its_finding_and_never_guessed(grown_desk: Desk) -> None:
    with grown_desk.archive.asking("default") as answers:
        (masked,) = answers.rows("decisions_page", **NO_FILTER, **FIRST_PAGE, from_at=LONG_BEFORE, until_at=LONG_AFTER)
    words = words_of(open_page("decision", grown_desk, id=str(uuid.UUID(bytes=masked["decision_id"]))))
    assert "email in args.message, masked before it was stored." in words
    assert "Masked in the agent" not in words


def test_rollout_of_a_project_without_a_policy_claims_nothing_of_one(tmp_path: Any) -> None:
    desk = open_desk(Settings(home=tmp_path, actor="ada"))
    desk.plane.create_project("default", actor="ada")
    land_one_more(tmp_path, now_us=time.time_ns() // 1000, offset=0)
    words = words_of(open_page("rollout", desk))
    assert "There is no policy yet" in words
    assert "judged by this policy" not in words
    assert "No candidate" in words
    desk.plane.close()
