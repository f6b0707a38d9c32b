"""Pieces of a page as HTML: every value in them is escaped, because agents choose what they are called."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, Literal
from urllib.parse import quote

from markupsafe import Markup, escape

from dashboards.words import WORDS, Standing, Tone, standing

# Drawn here, 16 by 16, one stroke: no icon font and no request for one.
ICONS: Final = {
    "check": '<path d="M3.5 8.5l3 3 6-7"/>',
    "eye": '<path d="M1.5 8s2.4-4.2 6.5-4.2S14.5 8 14.5 8 12.1 12.2 8 12.2 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="1.7"/>',
    "triangle": '<path d="M8 2.5l6.2 11H1.8z"/><path d="M8 6.5v3.2M8 11.6v.1"/>',
    "through": '<path d="M1.5 8h12M10 4.5L13.5 8 10 11.5M5.5 2.2v2.6M5.5 11.2v2.6"/>',
    "stop": '<circle cx="8" cy="8" r="5.8"/><path d="M4.9 8h6.2"/>',
    "dash": '<path d="M4 8h8"/>',
    "question": '<circle cx="8" cy="8" r="5.8"/><path d="M6.3 6.4c.2-2 3.6-1.8 3.4.1-.1 1.2-1.7 1.3-1.7 2.6M8 11.3v.1"/>',
    "clock": '<circle cx="8" cy="8" r="5.8"/><path d="M8 4.8V8l2.2 1.6"/>',
    "bell": '<path d="M3.5 11.5h9l-1.2-1.7V7a3.3 3.3 0 00-6.6 0v2.8zM6.8 13.4h2.4"/>',
    "arrow": '<path d="M3 8h9M8.5 4.5L12 8l-3.5 3.5"/>',
    "person": '<circle cx="8" cy="5.5" r="2.5"/><path d="M3 13.5c.6-5 9.4-5 10 0"/>',
    "gap": '<path d="M2 8h3.5M10.5 8H14M7 4.5l2 7"/>',
}

NOTHING: Final = Markup('<span class="cz-quiet">\u2013</span>')
TableKind = Literal["plain", "decisions", "groups", "prose"]
# Cards of a table on a narrow screen before "show all": a page stays some screens long. Those of many values are tall, so fewer.
CARDS_AT_FIRST: Final = 10
TALL_CARDS_AT_FIRST: Final = 4
TALL_FROM: Final = 8  # values, of a plain table; the other kinds have a layout of their own
HARMLESS: Final = "\n\t"  # whitespace to a browser


def said(template: str, *values: object) -> Markup:
    """Fill values into HTML of ours: each escaped, and what would hide in them or turn the text around made visible."""
    shown = [value if isinstance(value, Markup) else escape(visible(str(value))) for value in values]
    return Markup(template).format(*shown)  # noqa: S704 - templates are ours


def visible(text: str) -> str:
    """Return text with its control, invisible and direction-changing characters written out as code points."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in HARMLESS or unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cs") else f"\\u{ord(char):04x}" for char in text
    )


def joined(pieces: Iterable[Markup], between: str = "") -> Markup:
    """Put pieces one after the other."""
    return escape(between).join(pieces)


def icon(name: str) -> Markup:
    """Draw an icon in the colour of the text beside it."""
    return said('<i class="cz-icon cz-icon-{}" aria-hidden="true"></i>', name)


def icon_styles() -> str:
    """Return the style rules that give the icons their shapes; they are masks, because a page keeps no drawing in its HTML."""
    frame = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="black" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">{}</svg>'
    return "".join(
        f'.cz-icon-{name}{{--cz-shape:url("data:image/svg+xml,{quote(frame.format(shape))}")}}\n' for name, shape in ICONS.items()
    )


def pill(label: str, tone: Tone, *, icon_name: str | None = None, hint: str | None = None) -> Markup:
    """Draw a word in its tone, with its icon."""
    drawn = icon(icon_name) if icon_name else Markup("")
    title = said(' title="{}"', hint) if hint else Markup("")
    return said('<span class="cz-pill cz-{}"{}>{}{}</span>', tone, title, drawn, label)


def standing_pill(name: Standing) -> Markup:
    """Draw how a decision stands."""
    word = WORDS[name]
    return pill(word.label, word.tone, icon_name=word.icon, hint=word.meaning)


def verdict_pill(*, verdict: str | None, mode: str, effect: str) -> Markup:
    """Draw how a decision with this verdict, mode and effect stands."""
    return standing_pill(standing(verdict=verdict, mode=mode, effect=effect))


def mode_pill(mode: str) -> Markup:
    """Draw a mode. It is no verdict, so it has no verdict's colour."""
    hint = {
        "enforce": "Denied calls do not go ahead.",
        "log-only": "Every call goes ahead; what the policy would deny is recorded.",
        "off": "Governance is off: calls are recorded and judged by workers alone.",
    }.get(mode, "")
    return said('<span class="cz-mode cz-mode-{}" title="{}">{}</span>', mode, hint, mode)


def link(text: str | Markup, href: str, *, hint: str | None = None) -> Markup:
    """Link to a page of ours."""
    title = said(' title="{}"', hint) if hint else Markup("")
    return said('<a class="cz-link" href="{}"{}>{}</a>', href, title, text)


def quiet(text: str | Markup) -> Markup:
    """Say something less loudly."""
    return said('<span class="cz-quiet">{}</span>', text)


def mono(text: str | None) -> Markup:
    """Write an identifier; a missing one is a dash."""
    return said('<span class="cz-mono" title="{}">{}</span>', text, text) if text else NOTHING


def dotted(text: str) -> Markup:
    """Write a name of parts so that it breaks after a dot, where it has to break."""
    return joined((said("{}", part) for part in text.split(".")), Markup(".<wbr>"))


def sentence(text: str) -> Markup:
    """Write what other stages say in plain text: a name between backticks as an identifier."""
    return joined(mono(piece) if i % 2 else said("{}", piece) for i, piece in enumerate(re.split("`([^`]+)`", text)))


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str | Markup]], *, label: str, numbers: Sequence[int] = (), kind: TableKind = "plain"
) -> Markup:
    """Draw a table that becomes a list of cards on a narrow screen; `numbers` are the columns set to the right, `kind` names its layout in styles.css."""
    cells = list(rows)
    head = joined(
        said("<th scope=col{}>{}</th>", Markup(" class=cz-number") if i in numbers else Markup(""), heading)
        for i, heading in enumerate(headings)
    )
    body = joined(
        said(
            "<tr>{}</tr>",
            joined(
                said(
                    '<td data-label="{}"{}><span>{}</span></td>',
                    headings[i],
                    Markup(" class=cz-number") if i in numbers else Markup(""),
                    cell,
                )
                for i, cell in enumerate(row)
            ),
        )
        for row in cells
    )
    drawn = said(
        '<div class="cz-scroll"><table class="cz-table cz-table-{}" aria-label="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        kind,
        label,
        head,
        body,
    )
    at_first = TALL_CARDS_AT_FIRST if kind == "plain" and len(headings) >= TALL_FROM else CARDS_AT_FIRST
    return shortened(drawn, of=label, at_first=at_first, there_are=len(cells), what="rows")


def shortened(drawn: Markup, *, of: str, at_first: int, there_are: int, what: str) -> Markup:
    """Let a long list begin short on a narrow screen, with a way to all of it; styles.css hides what is beyond, by the class."""
    if there_are <= at_first:
        return drawn
    name = f"more-{of.lower().replace(' ', '-')}"
    box = said('<input type="checkbox" class="cz-more-box cz-first-{}" id="{}" aria-label="Show all of {}">', at_first, name, of)
    return said('<div>{}{}<label class="cz-more" for="{}">Show all {} {}</label></div>', box, drawn, name, f"{there_are:,}", what)


def bars(rows: Sequence[tuple[str | Markup, int, Tone]], *, label: str) -> Markup:
    """Draw labelled counts as bars against the largest of them."""
    largest = max((number for _, number, _ in rows), default=0) or 1
    lines = joined(
        said(
            '<li class="cz-bar"><span class="cz-bar-name">{}</span><span class="cz-bar-count">{}</span>'
            '<span class="cz-bar-rail"><span class="cz-bar-fill cz-fill-{}" style="width:{}%"></span></span></li>',
            name,
            f"{number:,}",
            tone,
            f"{max(100 * number / largest, 0.5):.1f}",
        )
        for name, number, tone in rows
    )
    return said('<ul class="cz-bars" aria-label="{}">{}</ul>', label, lines)


def facts(pairs: Iterable[tuple[str, str | Markup]]) -> Markup:
    """Draw names with their values, one under the other."""
    rows = joined(said("<div><dt>{}</dt><dd>{}</dd></div>", name, value) for name, value in pairs)
    return said('<dl class="cz-facts">{}</dl>', rows)


def banner(tone: Tone, text: str | Markup, *, icon_name: str) -> Markup:
    """Draw a sentence a person should not miss."""
    return said('<div class="cz-banner cz-banner-{}" role="status">{}<div>{}</div></div>', tone, icon(icon_name), text)


def headline(text: str | Markup) -> Markup:
    """Draw the sentence that says what a page is about now."""
    return said('<p class="cz-headline">{}</p>', text)


def consequence(text: Markup) -> Markup:
    """Draw what follows from a change, where it is asked for."""
    return said('<div class="cz-consequence">{}</div>', text)


def heading(text: str, *, note: str | Markup = "") -> Markup:
    """Draw the heading of a part of a page, with a note on what its numbers cover."""
    return said('<div class="cz-heading"><h2>{}</h2><span>{}</span></div>', text, note)


def empty(title: str, text: str | Markup) -> Markup:
    """Draw what stands where there is nothing yet: why, and what to do about it."""
    return said('<div class="cz-empty"><h3>{}</h3><p>{}</p></div>', title, text)


def stat(label: str, value: str, note: str | Markup = "", *, tone: Tone | None = None) -> Markup:
    """Draw one small figure."""
    return said(
        '<div class="cz-stat{}"><span>{}</span><strong>{}</strong><em>{}</em></div>',
        said(" cz-stat-{}", tone) if tone else "",
        label,
        value,
        note,
    )


def stats(each: Iterable[Markup]) -> Markup:
    """Draw small figures beside one another."""
    return said('<div class="cz-stats">{}</div>', joined(each))


def card(label: str, value: str, *, delta: Markup, points: Sequence[float], tone: Tone, href: str, hint: str) -> Markup:
    """Draw a figure with its change and its course; the whole card leads to what it counts."""
    return said(
        '<a class="cz-card" href="{}" title="{}"><span class="cz-card-label"><i class="cz-dot cz-fill-{}"></i>{}</span>'
        "<strong>{}</strong><em>{}</em>{}</a>",
        href,
        hint,
        tone,
        label,
        value,
        delta,
        sparkline(points, tone=tone),
    )


def cards(each: Iterable[Markup]) -> Markup:
    """Draw cards beside one another, two in a row on a phone."""
    return said('<div class="cz-cards">{}</div>', joined(each))


def sparkline(points: Sequence[float], *, tone: Tone) -> Markup:
    """Draw the course of a figure as bars, from zero to the highest."""
    highest, step = max(points, default=0) or 1, 100 / max(len(points), 1)
    skyline = []
    for i, point in enumerate(points):
        left, right, top = i * step, (i + 0.72) * step, 100 * (1 - point / highest)
        skyline.append(f"{left:.2f}% 100%,{left:.2f}% {top:.1f}%,{right:.2f}% {top:.1f}%,{right:.2f}% 100%")
    shape = ",".join(skyline) or "0% 100%"
    return said('<span class="cz-spark" aria-hidden="true"><i class="cz-fill-{}" style="clip-path:polygon({})"></i></span>', tone, shape)


def change(now: float, then: float, *, of: str) -> Markup:
    """Say how a figure changed against the period before; without one before, there is nothing to say it against."""
    if not then:
        return quiet(f"none in the {of} before" if now else f"as in the {of} before")
    share = 100 * (now - then) / then
    if round(share) == 0:
        return quiet(f"as in the {of} before")
    sign, times = ("▲" if share > 0 else "▼"), now / then
    said_change = f"{times:.0f}\N{MULTIPLICATION SIGN}" if times >= 10 else f"{abs(share):.0f} %"
    return said('<b>{} {}</b> <span class="cz-quiet">vs. {} before</span>', sign, said_change, of)
