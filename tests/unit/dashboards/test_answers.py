from datetime import UTC, datetime, timedelta

import pytest

from dashboards.answers import Archive
from dashboards.desk import Desk
from dashboards.policy_in_force import bundles_of
from dashboards.words import standing
from tests.ledgers import Grown

NO_FILTER = {name: [] for name in ("standing", "mode", "agent", "action", "resource", "rule", "finding", "bundles")} | {
    "candidate": "",
    "change": "",
}


def window() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"from_at": now - timedelta(days=30), "until_at": now + timedelta(days=1)}


def test_an_answer_of_one_project_is_never_given_to_another(grown_desk: Desk) -> None:
    asked = window()
    with grown_desk.archive.asking("default") as default, grown_desk.archive.asking("payments") as payments:
        ours = default.rows("agents", limit=100, **asked)
        theirs = payments.rows("agents", limit=100, **asked)
    assert {row["agent_id"] for row in theirs} == {"basic-support"}
    assert len(ours) > 1


def test_a_project_without_decisions_sees_none(grown_desk: Desk) -> None:
    with grown_desk.archive.asking("nobody") as answers:
        assert answers.row("any_decision")["decisions"] == 0


def test_the_same_question_is_asked_once_per_version(grown_desk: Desk) -> None:
    asked = window()
    with grown_desk.archive.asking("default") as answers:
        first = answers.table("agents", limit=100, **asked)
        assert answers.table("agents", limit=100, **asked) is first
        assert answers.table("agents", limit=99, **asked) is not first


def test_a_ledger_that_is_not_there_yet_is_empty(tmp_path: object) -> None:
    from pathlib import Path

    with Archive(Path(str(tmp_path)) / "warehouse" / "ledger").asking("default") as answers:
        assert answers.rows("deny_groups", limit=5, **window()) == []
        assert answers.row("freshness")["received_at"] is None


@pytest.mark.parametrize("question", ["facets", "facets_of_decisions"])
def test_how_decisions_stand_is_the_same_in_sql_and_in_words(question: str, grown_desk: Desk) -> None:
    asked = window()
    beyond = {"session": [], "q": ""} if question == "facets_of_decisions" else {}
    with grown_desk.archive.asking("default") as answers:
        in_sql = {
            row["value"]: row["decisions"]
            for row in answers.rows(question, **NO_FILTER, **beyond, limit=50, **asked)
            if row["facet"] == "standing"
        }
        in_words: dict[str, int] = {}
        for row in answers.rows("effects_total", before_at=asked["from_at"], **asked):
            name = standing(verdict=row["verdict"], mode=row["mode"], effect=row["effect"])
            in_words[name] = in_words.get(name, 0) + row["decisions"]
    assert in_sql == in_words


@pytest.mark.parametrize("name", ["standing", "mode", "agent", "action", "resource", "rule"])
def test_a_facet_counts_what_choosing_it_shows(name: str, grown_desk: Desk) -> None:
    asked = window()
    nothing = {"session": [], "q": "", "older_than_at": None, "older_than_id": None}
    with grown_desk.archive.asking("default") as answers:
        for row in [each for each in answers.rows("facets", **NO_FILTER, limit=6, **asked) if each["facet"] == name]:
            chosen = {**NO_FILTER, name: [row["value"]]}
            assert len(answers.rows("decisions_page", **chosen, **nothing, limit=5_000, **asked)) == row["decisions"], row


def test_every_decision_is_counted_once(grown_desk: Desk, grown: Grown) -> None:
    with grown_desk.archive.asking("default") as answers:
        assert answers.row("any_decision")["decisions"] == grown.decisions
        assert sum(row["decisions"] for row in answers.rows("carried_out", **window())) == grown.decisions


def test_a_page_of_a_candidates_changes_holds_what_rollout_counts(grown_desk: Desk) -> None:
    asked = window()
    nothing = {"session": [], "q": "", "older_than_at": None, "older_than_id": None}
    (candidate,) = grown_desk.plane.list_candidates("default")
    with grown_desk.archive.asking("default") as answers:
        bundles = bundles_of(grown_desk.plane.policy_versions("default"), grown_desk.plane.project("default").policy_digest)
        counted = answers.rows("candidate_changes", candidate=candidate.digest, digests=bundles, limit=1_000, **asked)
        for change in ("newly_denied", "newly_allowed"):
            filters = {**NO_FILTER, "bundles": bundles, "candidate": candidate.digest, "change": change}
            rows = answers.rows("decisions_page", **filters, **nothing, limit=5_000, **asked)
            assert len(rows) == sum(row["decisions"] for row in counted if row["change"] == change)
            assert {row["of_change"] for row in counted if row["change"] == change} == {len(rows)}
            assert rows


def test_a_bar_of_rollout_counts_what_its_link_shows(grown_desk: Desk) -> None:
    asked = window()
    nothing = {"session": [], "q": "", "older_than_at": None, "older_than_id": None}
    project = grown_desk.plane.project("default")
    bundles = bundles_of(grown_desk.plane.policy_versions("default"), project.policy_digest)
    assert len(bundles) > 1  # the same policy, under another mode
    with grown_desk.archive.asking("default") as answers:
        happened = answers.row("mode_consequence", digests=bundles, log_only_rules=[], **asked)
        bars = answers.rows("denials_of_policy", digests=bundles, limit=50, **asked)
        for bar in bars:
            chosen = {**NO_FILTER, "bundles": bundles, "change": "denied", bar["facet"]: [bar["value"]]}
            assert len(answers.rows("decisions_page", **chosen, **nothing, limit=5_000, **asked)) == bar["decisions"], bar
    assert {bar["facet"] for bar in bars} == {"rule", "agent", "action", "resource"}
    for facet in ("rule", "agent", "action", "resource"):
        counted = sum(bar["decisions"] for bar in bars if bar["facet"] == facet)
        assert counted == happened["let_through"] + happened["denied"]
    assert happened["let_through"] > 0
    assert happened["denied"] > 0


def test_denials_by_rules_that_only_log_are_counted_apart(grown_desk: Desk) -> None:
    asked = window()
    project = grown_desk.plane.project("default")
    bundles = bundles_of(grown_desk.plane.policy_versions("default"), project.policy_digest)
    places = range(1, 1 + sum(len(policy["rules"]) for policy in grown_desk.plane.policy("default").policies))
    with grown_desk.archive.asking("default") as answers:
        every = answers.row("mode_consequence", digests=bundles, log_only_rules=[], **asked)
        apart = [answers.row("mode_consequence", digests=bundles, log_only_rules=[place], **asked) for place in places]
        none = answers.row("mode_consequence", digests=bundles, log_only_rules=list(places), **asked)
    denials = every["let_through"] + every["denied"]
    assert [row["let_through"] + row["denied"] + row["only_logged"] for row in (*apart, none)] == [denials] * (len(apart) + 1)
    assert none["only_logged"] == sum(row["only_logged"] for row in apart) > 0


def test_evidence_for_the_policy_in_force_leaves_out_what_others_judged(grown_desk: Desk) -> None:
    asked = window()
    with grown_desk.archive.asking("default") as answers:
        of_nobody = answers.row("mode_consequence", digests=["another policy"], log_only_rules=[], **asked)
        assert answers.rows("denials_of_policy", digests=["another policy"], limit=50, **asked) == []
        assert answers.rows("denials_over_time", digests=["another policy"], origin_us=0, bucket_us=3_600_000_000, **asked) == []
    assert (of_nobody["judged"], of_nobody["let_through"], of_nobody["denied"]) == (0, 0, 0)
    assert of_nobody["judged_by_others"] == of_nobody["decisions"] > 0


@pytest.mark.parametrize("bucket_us", [60_000_000, 3_600_000_000])
def test_denials_over_time_add_up_to_those_counted(bucket_us: int, grown_desk: Desk) -> None:
    asked = window()
    bundles = bundles_of(grown_desk.plane.policy_versions("default"), grown_desk.plane.project("default").policy_digest)
    with grown_desk.archive.asking("default") as answers:
        happened = answers.row("mode_consequence", digests=bundles, log_only_rules=[], **asked)
        over_time = answers.rows("denials_over_time", digests=bundles, origin_us=0, bucket_us=bucket_us, **asked)
    assert sum(row["decisions"] for row in over_time if row["effect"] == "deny") == happened["denied"]
    assert sum(row["decisions"] for row in over_time if row["effect"] != "deny") == happened["let_through"]


def test_a_type_of_finding_is_one_row_with_its_severities(grown_desk: Desk) -> None:
    with grown_desk.archive.asking("default") as answers:
        rows = answers.rows("findings_by_type", **window())
    kinds = [(row["type"], row["detail"]) for row in rows]
    assert len(kinds) == len(set(kinds)) > 2
    assert all(row["severities"] for row in rows)


def test_without_a_policy_there_is_no_evidence_and_every_question_is_answered(grown_desk: Desk) -> None:
    asked = window()
    with grown_desk.archive.asking("default") as answers:
        happened = answers.row("mode_consequence", digests=[], log_only_rules=[], **asked)
        assert answers.rows("denials_of_policy", digests=[], limit=5, **asked) == []
        assert answers.rows("denials_over_time", digests=[], origin_us=0, bucket_us=60_000_000, **asked) == []
        assert answers.rows("candidate_changes", candidate="c", digests=[], limit=5, **asked) == []
    assert (happened["judged"], happened["judged_by_others"]) == (0, happened["decisions"])
