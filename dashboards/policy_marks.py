"""Policy text as HTML: line numbers, rules set apart, hits beside them, a comparison in two tones."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from markupsafe import Markup

from controlzero.policy.examples import Shown
from dashboards import marks
from dashboards.policy_text import Changed, Line

LINES_AT_FIRST: Final = 40  # of a policy on a narrow screen
EFFECT: Final = re.compile(r"((?:- |  )effect: )(allow|deny|warn|audit)")


@dataclass(frozen=True, kw_only=True)
class Hits:
    """How often a rule decided, by its place from 1, and the link to these decisions."""

    decisions: int
    agents: int
    href: str


def policy_block(lines: Sequence[Line], *, chosen: int | None = None, hits: Mapping[int, Hits] | None = None) -> Markup:
    """Draw lines of policy text; the rule `chosen` stands out, `hits` are beside the first line of their rule."""
    most = max((each.decisions for each in (hits or {}).values()), default=0) or 1
    rows = [
        marks.said(
            '<div class="cz-line{}{}"><span class="cz-line-number">{}</span><code>{}</code>{}</div>',
            " cz-line-chosen" if chosen is not None and line.rule == chosen else "",
            " cz-line-rule" if line.starts_rule else "",
            line.number,
            _text(line.text),
            _beside(line, hits, most) if hits is not None else "",
        )
        for line in lines
    ]
    block = marks.said('<div class="cz-policy{}">{}</div>', " cz-policy-hits" if hits is not None else "", marks.joined(rows))
    return marks.shortened(block, of="Policy", at_first=LINES_AT_FIRST, there_are=len(rows), what="lines")


def comparison(changes: Sequence[Changed]) -> Markup:
    """Draw what two versions differ in."""
    signs = {"+": "added", "-": "removed", " ": "kept", "…": "left"}
    rows = [
        marks.said(
            '<div class="cz-line cz-line-{}"><span class="cz-line-number">{}</span><code>{}</code></div>',
            signs[change.sign],
            change.sign,
            change.text or " ",
        )
        for change in changes
    ]
    return marks.said('<div class="cz-policy">{}</div>', marks.joined(rows))


def shown(example: Shown) -> Markup:
    """Draw a call and what the policy says of it, in the words of the form that tries one."""
    call = example.call
    facts = [(name, each) for name, each in (("context", call.context), ("arguments", call.args), ("tags", call.tags)) if each]
    said = marks.joined(
        [
            marks.mono(call.action),
            marks.said(" on {}", marks.mono(call.resource)) if call.resource is not None else Markup(""),
            *(marks.said(", {} {}", name, marks.mono(msgspec.json.encode(each).decode())) for name, each in facts),
        ]
    )
    return marks.said("Such as {}: {}, by {}.", said, _word(example.verdict), marks.mono(example.rule))


def _text(text: str) -> Markup:
    """Draw a line; the effect of a rule in its tone."""
    found = EFFECT.fullmatch(text)
    if found:
        return marks.said("{}{}", found[1], _word(found[2]))
    return marks.said("{}", text or " ")


def _word(verdict: str) -> Markup:
    return marks.said('<b class="cz-word cz-{}">{}</b>', verdict, verdict)


def _beside(line: Line, hits: Mapping[int, Hits], most: int) -> Markup:
    if not line.starts_rule or line.rule is None:
        return Markup('<span class="cz-hits"></span>')
    hit = hits.get(line.rule)
    if hit is None or not hit.decisions:
        return Markup('<span class="cz-hits cz-hits-none" title="No decision in this period was decided by this rule">no hits</span>')
    return marks.said(
        '<a class="cz-hits" href="{}" title="{} decisions of {} agents"><i style="width:{}%"></i><b>{}</b></a>',
        hit.href,
        f"{hit.decisions:,}",
        hit.agents,
        f"{max(60 * hit.decisions / most, 1):.1f}",
        f"{hit.decisions:,}",
    )
