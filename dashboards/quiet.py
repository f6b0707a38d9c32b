"""What a page says where its period holds nothing although the project has a past: when that was, and the way there."""

from datetime import datetime

from markupsafe import Markup

from dashboards import marks, words
from dashboards.desk import View
from dashboards.frame import show
from dashboards.urls import PageName, address
from dashboards.window import Window, containing, describe


def nothing_in_period(view: View, page: PageName) -> Markup | None:
    """Say when the last decision was and link to a period that holds it; None where this period has decisions, or there are none."""
    span = view.answers.row("decisions_span")
    last_at: datetime | None = span.get("last_at")
    if last_at is None or _holds_any(view):
        return None
    there = containing(last_at, first_at=span["first_at"], now=view.now)
    return marks.empty("No decision in this period", _way_there(view, page, "The project's last decision was", last_at, there))


def nothing_received(view: View) -> Markup | None:
    """Say the same of a period in which nothing was received; imports of old records arrive today."""
    received = view.answers.row("newest_received")
    last_at: datetime | None = received.get("received_at")
    if last_at is None:
        return None
    there = containing(last_at, first_at=last_at, now=view.now)
    return marks.empty(
        "Nothing was received in this period", _way_there(view, "pipeline", "The newest record was received", last_at, there)
    )


def say_if_quiet(view: View, page: PageName) -> bool:
    """Say that the period is empty, if it is; return whether it is."""
    said = nothing_in_period(view, page)
    if said is not None:
        show(said)
    return said is not None


def _holds_any(view: View) -> bool:
    row = view.answers.row("any_in_period", from_at=view.window.from_at, until_at=view.window.until_at)
    return bool(row["any_decision"])


def _way_there(view: View, page: PageName, what: str, last_at: datetime, there: Window) -> Markup:
    to = address(page, project=view.project.project_id, window=there)
    return marks.said(
        "{} {} UTC, {}. {}", what, f"{last_at:%Y-%m-%d %H:%M}", words.ago(last_at, now=view.now), marks.link(f"Show {_named(there)}", to)
    )


def _named(window: Window) -> str:
    said = describe(window)
    return f"the {said}" if said.startswith("last") else said
