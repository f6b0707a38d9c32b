"""Addresses of pages: what a link carries and what a filter reads back, so that every view can be shared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

from dashboards.window import CUSTOM, Window
from dashboards.words import Standing

PageName = Literal[
    "overview",
    "decisions",
    "decision",
    "rollout",
    "policies",
    "findings",
    "compliance",
    "pipeline",
    "project",
    "keys",
    "tools",
    "secrets",
    "members",
]
VALUES_MAX: Final = 20  # of one filter: an address stays short enough for a chat message
TEXT_CHARS_MAX: Final = 200
STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)
Value = str | int | Iterable[str] | None


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What narrows the decisions shown; an empty one narrows nothing. Names are those in the address.

    An empty value in one is a choice: those without an agent, a resource or a rule.
    """

    standing: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    policy: str = ""  # digest of a policy: what was judged by it, under any of its bundles
    candidate: str = ""  # digest of a candidate; with `change`, what it would change
    change: str = ""  # denied (by the policy), newly_denied or newly_allowed (by the candidate)
    q: str = ""

    @property
    def beyond_rollup(self) -> bool:
        """Say whether only the decisions themselves can answer: sessions and free text are in no rollup."""
        return bool(self.session or self.q)


def filters_of(parameters: Mapping[str, list[str]]) -> Filters:
    """Read the filters of an address; what is no filter, or too much, is left out."""
    values: dict[str, object] = {}
    for field in fields(Filters):
        given = [text.strip()[:TEXT_CHARS_MAX] for text in parameters.get(field.name, [])]
        values[field.name] = next(filter(None, given), "") if field.type is str else tuple(dict.fromkeys(given))[:VALUES_MAX]
    values["standing"] = tuple(name for name in values["standing"] if name in STANDINGS)  # type: ignore[attr-defined]
    return Filters(**values)  # type: ignore[arg-type]


def address(page: PageName, *, project: str, window: Window | None = None, **parameters: Value) -> str:
    """Return a page's address relative to the pages' root, with its project and window in it."""
    pairs: list[tuple[str, str]] = [("project", project)]
    if window:
        pairs.append(("range", window.name))
        if window.name == CUSTOM:
            pairs += [("from", f"{window.from_at:%Y-%m-%dT%H:%M}"), ("until", f"{window.until_at:%Y-%m-%dT%H:%M}")]
    for name, value in parameters.items():
        if value is None or value == "":
            continue
        values = [str(value)] if isinstance(value, str | int) else list(value)
        pairs += [(name, each) for each in values]
    return f"{'' if page == 'overview' else page}?{urlencode(pairs)}"


def place_of(older_at: str, older_id: str) -> tuple[datetime, bytes] | tuple[None, None]:
    """Return the place in a list that an address names, or none where it names nothing."""
    try:
        return datetime.fromisoformat(older_at).astimezone(UTC), UUID(older_id).bytes
    except ValueError:
        return None, None


def id_of(text: str) -> bytes | None:
    """Return the bytes of an id in an address, None for what is no id."""
    try:
        return UUID(text).bytes
    except ValueError:
        return None
