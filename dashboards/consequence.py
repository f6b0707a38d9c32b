"""What a switch of the mode means, in the numbers of the days before it."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from controlzero.records import Mode
from dashboards import marks
from dashboards.words import count

NEXT_MODES: dict[Mode, tuple[Mode, ...]] = {"log-only": ("enforce", "off"), "enforce": ("log-only", "off"), "off": ("log-only", "enforce")}
BUTTONS: dict[Mode, str] = {"enforce": "Switch to enforce", "log-only": "Switch to log-only", "off": "Turn governance off"}


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """The decisions of a period that another mode would have treated otherwise."""

    days: int
    decisions: int
    let_through: int
    agents_let_through: int
    let_through_before: int  # of these, judged by an earlier policy than the one in force
    denied: int
    agents_denied: int


def consequence_of(row: dict[str, Any], *, days: int) -> Consequence:
    """Return the consequence from the answer to `mode_consequence`; nothing happened where there is no answer."""
    names = ("decisions", "let_through", "agents_let_through", "let_through_before", "denied", "agents_denied")
    return Consequence(days=days, **{name: row.get(name) or 0 for name in names})


def said_of(mode: Mode, happened: Consequence) -> Markup:
    """State what switching to `mode` would have meant for the calls of these days, and means from now on."""
    days = f"In the last {happened.days} days"
    if not happened.decisions:
        past = marks.said("{} no agent asked for anything, so there is <b>no evidence</b> of what this changes.", days)
        return marks.said("{} {}", past, _from_now_on(mode))
    match mode:
        case "enforce":
            past = _would_have_been(days, happened.let_through, happened.agents_let_through, Markup("would have been <b>denied</b>"))
            older = (
                marks.said(
                    " {} of them {} judged by an earlier policy than the one in force.",
                    f"{happened.let_through_before:,}",
                    "was" if happened.let_through_before == 1 else "were",
                )
                if happened.let_through_before
                else ""
            )
            return marks.said("{}{} {}", past, older, _from_now_on(mode))
        case "log-only":
            past = _would_have_been(days, happened.denied, happened.agents_denied, Markup("that were denied would have <b>gone ahead</b>"))
            return marks.said("{} {}", past, _from_now_on(mode))
        case _:
            past = marks.said("{} {} were judged before they went ahead.", days, count(happened.decisions, "call"))
            return marks.said("{} {}", past, _from_now_on(mode))


def _would_have_been(days: str, calls: int, agents: int, happens: Markup) -> Markup:
    if not calls:
        return marks.said("{} no call would have been treated otherwise.", days)
    return marks.said("{} <b>{} by {}</b> {}.", days, count(calls, "call"), count(agents, "agent"), happens)


def _from_now_on(mode: Mode) -> Markup:
    match mode:
        case "enforce":
            return marks.said("From the moment agents fetch the bundle, what the policy denies does not go ahead.")
        case "log-only":
            return marks.said(
                "From the moment agents fetch the bundle, every call goes ahead, and what the policy denies is recorded as deny (logged only)."
            )
        case _:
            return marks.said(
                "From the moment agents fetch the bundle, nothing is evaluated in them: calls are recorded, and workers judge them afterwards."
            )
