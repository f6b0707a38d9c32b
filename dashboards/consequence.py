"""What a change of the mode or the policy means, in the numbers of a period and of one policy alone."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from controlzero.policy import denies_everything, parse
from controlzero.records import Mode
from dashboards import marks
from dashboards.policy_text import Policies
from dashboards.words import begun, count

NEXT_MODES: dict[Mode, tuple[Mode, ...]] = {"log-only": ("enforce", "off"), "enforce": ("log-only", "off"), "off": ("log-only", "enforce")}
BUTTONS: dict[Mode, str] = {"enforce": "Switch to enforce", "log-only": "Switch to log-only", "off": "Turn governance off"}


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """What the policy in force said of a period's decisions, and what came of it; what other policies judged is counted apart."""

    period: str  # as a sentence goes on with it: `in the last 24 h`
    decisions: int
    judged: int  # by the policy in force; all below are of these
    judged_by_others: int
    let_through: int
    agents_let_through: int
    denied: int
    agents_denied: int
    not_replayable: int
    only_logged: int = 0  # denied by rules that only log, which enforcing changes nothing of


def consequence_of(row: dict[str, Any], *, period: str) -> Consequence:
    """Return the consequence from the answer to `mode_consequence`; nothing happened where there is no answer."""
    names = (
        "decisions", "judged", "judged_by_others", "let_through", "agents_let_through", "denied", "agents_denied", "not_replayable", "only_logged",
    )  # fmt: skip
    return Consequence(period=period, **{name: row.get(name) or 0 for name in names})


def found_by(mode: Mode, happened: Consequence, *, judged_ever: bool) -> Markup:
    """Say what the policy in force has shown so far, for who thinks of switching to `mode`."""
    if not happened.judged:
        return nothing_judged(happened, judged_ever=judged_ever)
    of = f"of {count(happened.judged, 'call')} judged by this policy"
    if mode == "enforce" and happened.let_through:
        return marks.said(
            "{}, {}, <b>{} by {}</b> would have been denied under enforce.{}",
            begun(happened.period),
            of,
            count(happened.let_through, "call"),
            count(happened.agents_let_through, "agent"),
            _apart(happened),
        )
    if mode == "enforce":
        none = "none that went ahead would have been denied under enforce"
        return marks.said("{}, {}, {}.{}", begun(happened.period), of, none, _apart(happened))
    denied = marks.said(
        "<b>{} by {}</b> {} denied",
        count(happened.denied, "call"),
        count(happened.agents_denied, "agent"),
        "was" if happened.denied == 1 else "were",
    )
    through = f" and {happened.let_through:,} that it denies went ahead" if happened.let_through else ""
    return marks.said("{}, {}, {}{}.", begun(happened.period), of, denied if happened.denied else "none was denied", through)


def nothing_judged(happened: Consequence, *, judged_ever: bool) -> Markup:
    """Say that there is no evidence, so that no zero is taken for it."""
    if judged_ever:
        return marks.said("<b>No call was judged by this policy</b> {}: nothing here shows what it would deny.", happened.period)
    return marks.said("<b>No call was judged by this policy yet</b>: nothing shows what it would deny.")


def judged_by(happened: Consequence) -> str:
    """Say how many of a period's decisions the numbers are about, and how many they leave out."""
    unjudged = happened.decisions - happened.judged - happened.judged_by_others
    left_out = [f"{happened.judged_by_others:,} by earlier ones"] * bool(happened.judged_by_others)
    left_out += [f"{unjudged:,} by none"] * bool(unjudged)
    were = "was" if happened.judged == 1 else "were"
    those = f"{happened.judged:,} of {count(happened.decisions, 'decision')} {happened.period} {were} judged by the policy in force"
    return f"{those}; left out here: {', '.join(left_out)}." if left_out else f"{those}."


def said_of(mode: Mode, happened: Consequence, *, judged_ever: bool) -> Markup:
    """State what switching to `mode` would have meant for the calls of the period, and means from now on."""
    if not happened.judged:
        past = marks.said("{} There is <b>no evidence</b> of what this changes.", nothing_judged(happened, judged_ever=judged_ever))
        return marks.said("{} {}", past, from_now_on(mode))
    match mode:
        case "enforce":
            would = _otherwise(happened, happened.let_through, happened.agents_let_through, Markup("would have been <b>denied</b>"))
            past = marks.said("{}{}", would, _apart(happened))
        case "log-only":
            past = _otherwise(happened, happened.denied, happened.agents_denied, Markup("that were denied would have <b>gone ahead</b>"))
        case _:
            return marks.said("{} {}", judged_by(happened), from_now_on(mode))
    return marks.said("{} {} {}", past, judged_by(happened) if happened.judged < happened.decisions else "", from_now_on(mode))


def said_of_policy(mode: Mode, policies: Policies) -> Markup:
    """State what putting these policies in force means in a project of this mode."""
    now = marks.said("The project is in mode {}. {}", marks.mode_pill(mode), from_now_on(mode))
    return marks.joined([marks.said("<p>{}</p>", now), *([_denies_all(mode)] if denies_everything(map(parse, policies)) else [])])


def _apart(happened: Consequence) -> str:
    """Say which denials enforcing changes nothing of."""
    if not happened.only_logged:
        return ""
    them = "It is" if happened.only_logged == 1 else "They are"
    return f" {count(happened.only_logged, 'denial')} by rules that only log would have gone ahead all the same. {them} not counted here."


def _denies_all(mode: Mode) -> Markup:
    then = "every call of every agent is denied" if mode == "enforce" else "every call is judged deny"
    text = marks.said("<b>No rule of it allows anything</b>: {}, because what no rule matches is denied as well.", then)
    return marks.banner("deny", text, icon_name="stop")


def _otherwise(happened: Consequence, calls: int, agents: int, happens: Markup) -> Markup:
    if not calls:
        return marks.said(
            "{} no call of {} judged by this policy would have been treated otherwise.", begun(happened.period), f"{happened.judged:,}"
        )
    return marks.said("{} <b>{} by {}</b> {}.", begun(happened.period), count(calls, "call"), count(agents, "agent"), happens)


def from_now_on(mode: Mode) -> Markup:
    """Say what follows from a mode once agents have its bundle."""
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
