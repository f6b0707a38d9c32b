"""The words and tones a page uses of a decision, so that no two pages call the same thing differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from topics.control import Scope

Standing = Literal["allow", "audit", "warn", "deny_logged", "deny_unenforced", "deny", "unevaluated", "not_replayable"]
Tone = Literal["allow", "audit", "warn", "logged", "deny", "none"]


@dataclass(frozen=True, kw_only=True)
class Word:
    """How one standing is said and shown: colour never stands alone, an icon and a word are beside it."""

    label: str
    tone: Tone
    icon: str  # a name of marks.ICONS
    material: str  # the same in Streamlit's bundled icon font, for widgets
    meaning: str


# In the order of charts and facets: what needs nobody first, what stopped an agent last.
WORDS: Final[Mapping[Standing, Word]] = {
    "allow": Word(label="allow", tone="allow", icon="check", material="check_circle", meaning="A rule allowed it; it went ahead."),
    "audit": Word(label="audit", tone="audit", icon="eye", material="visibility", meaning="A rule asked to note it; it went ahead."),
    "warn": Word(label="warn", tone="warn", icon="triangle", material="warning", meaning="A rule warned; it went ahead."),
    "deny_logged": Word(
        label="deny (logged only)",
        tone="logged",
        icon="through",
        material="rule",
        meaning="The policy denies it; the mode is log-only, so it went ahead.",
    ),
    "deny_unenforced": Word(
        label="deny (not enforced)",
        tone="logged",
        icon="through",
        material="gpp_maybe",
        meaning="The policy denies it, and nothing in the agent enforced that: governance was off, or only workers judged it.",
    ),
    "deny": Word(
        label="deny",
        tone="deny",
        icon="stop",
        material="do_not_disturb_on",
        meaning="Denied and enforced: the call was told not to go ahead.",
    ),
    "unevaluated": Word(label="not evaluated", tone="none", icon="dash", material="remove", meaning="No policy judged it."),
    "not_replayable": Word(
        label="not replayable",
        tone="none",
        icon="question",
        material="help",
        meaning="A masked value could have decided, so workers give no answer rather than a guess.",
    ),
}
SEVERITY_TONES: Final[Mapping[str, Tone]] = {"critical": "deny", "warning": "warn", "info": "audit"}
SCOPE_WORDS: Final[Mapping[Scope, str]] = {  # what a key may do
    "decisions:write": "deliver decisions",
    "bundle:read": "fetch the policy bundle",
    "session:read": "fetch the tools",
    "secrets:read": "fetch the secrets",
    "control:read": "look at all that is set",
    "control:write": "change policies, mode, tools and settings, stop agents",
    "secrets:write": "set and delete secrets",
    "keys:write": "make, rotate and revoke keys",
    "organisation:write": "make projects, change members",
}
FINDING_WORDS: Final[Mapping[str, str]] = {
    "pii": "personal data",
    "secret": "secret",
    "drift": "drift",
    "enforcement_gap": "enforcement gap",
    "denial_unread": "denial unread",
    "sequence_gap": "sequence gap",
    "sequence_conflict": "sequence conflict",
    "clock_skew": "clock skew",
    "loss": "loss",
}


def standing(*, verdict: str | None, mode: str, effect: str) -> Standing:
    """Return how a decision stands: its verdict, read together with the mode and the effect it had."""
    if effect == "deny":
        return "deny"
    match verdict:
        case "allow" | "audit" | "warn" | "not_replayable":
            return verdict
        case "deny":
            return "deny_logged" if mode == "log-only" else "deny_unenforced"
        case _:
            return "unevaluated"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 call`, `1,204 calls`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def compact(number: float) -> str:
    """Return a number short enough for a card: 842, 12.4k, 3.1M."""
    for size, suffix in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if abs(number) >= size:
            unit = 1_000 if suffix == "k" else size
            return f"{number / unit:.1f}".removesuffix(".0") + suffix
    return f"{number:,.0f}"


def figure(number: float) -> str:
    """Return a measured number with as many digits as say something: 1,204, 87.3, 0.0042."""
    if isinstance(number, int) or abs(number) >= 1_000:
        return f"{number:,.0f}"
    return f"{number:.3g}" if abs(number) >= 1e-6 or not number else f"{number:.1e}"


DRAWN_S_MAX: Final = 10.0  # a page may take this long to draw, and tell of what happened since it began


def ago(moment: datetime, *, now: datetime) -> str:
    """Return how long ago it was, as a person says it; a moment ahead of the clock says so."""
    seconds = (now - moment).total_seconds()
    if seconds < -DRAWN_S_MAX:
        return f"{duration(timedelta(seconds=-seconds))} ahead of our clock"
    return f"{duration(timedelta(seconds=max(seconds, 0)))} ago"


def duration(length: timedelta) -> str:
    """Return a length of time in its largest fitting unit: 3 s, 12 min, 5 h, 9 d."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def percent(part: float, whole: float) -> str:
    """Return a share, never rounded to a nothing or a whole that it is not; `no data` of an empty whole."""
    if not whole:
        return "no data"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.1f} %".replace(".0 %", " %")


def moment(at: datetime, *, micros: bool = False) -> str:
    """Return a time as every page writes it, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}{f'.{at.microsecond:06d}' if micros else ''}"


def begun(phrase: str) -> str:
    """Return a phrase as the beginning of a sentence."""
    return phrase[:1].upper() + phrase[1:]


def readable(name: str) -> str:
    """Return a name of ours as words: `payment card`."""
    return name.replace("_", " ")


def grave(severities: Sequence[str]) -> str:
    """Return severities as words, the gravest first: `critical and info`."""
    return " and ".join(severities)


def short_id(text: str) -> str:
    """Return the end of an id, which differs even between ids made in the same millisecond."""
    return text[-8:]
