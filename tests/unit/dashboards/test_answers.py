from datetime import UTC, datetime, timedelta

import pytest

from dashboards.answers import Archive
from dashboards.desk import Desk
from dashboards.words import standing
from tests.ledgers import Grown

NO_FILTER = {name: [] for name in ("standing", "mode", "agent", "action", "resource", "rule", "finding")} | {"candidate": "", "change": ""}


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
        counted = answers.rows("candidate_changes", candidate=candidate.digest, limit=1_000, **asked)
        for change in ("newly_denied", "newly_allowed"):
            filters = {**NO_FILTER, "candidate": candidate.digest, "change": change}
            rows = answers.rows("decisions_page", **filters, **nothing, limit=5_000, **asked)
            assert len(rows) == sum(row["decisions"] for row in counted if row["change"] == change)
            assert rows
