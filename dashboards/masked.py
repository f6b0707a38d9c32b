"""Stored values as people read them: JSON as nested names and values, what was masked in it plain to see."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from dashboards import marks
from dashboards.urls import address

MASK: Final = re.compile(r"\[([a-z_0-9]{1,32}):([a-p]{10})\]")
DEPTH_MAX: Final = 8  # of what is drawn as a tree; deeper values are drawn as JSON text
EVERYWHERE: Final = "14d"  # the widest period that is named: where else was this value?
ITEMS_MAX: Final = 100  # of one object or list; a page stays a page
TEXT_CHARS_MAX: Final = 4_000


def redacted(text: str, project: str) -> Markup:
    """Draw a text; each value masked in it is named by its type and a short token, the same for the same value."""
    cut = text[:TEXT_CHARS_MAX]
    pieces: list[Markup] = []
    at = 0
    for found in MASK.finditer(cut):
        pieces += [marks.said("{}", cut[at : found.start()]), _mask(found, project)]
        at = found.end()
    pieces.append(marks.said("{}", cut[at:]))
    if len(text) > TEXT_CHARS_MAX:
        pieces.append(marks.quiet(f" … {len(text) - TEXT_CHARS_MAX:,} more characters"))
    return marks.joined(pieces)


def tree(encoded: str | None, project: str, *, label: str) -> Markup:
    """Draw a JSON value as names and values; nothing where there is none."""
    if not encoded or encoded == "null":
        return marks.quiet(f"No {label.lower()} recorded.")
    try:
        value = json.loads(encoded)
    except ValueError:
        return marks.said("<pre class='cz-raw'>{}</pre>", encoded)
    return marks.said('<div class="cz-tree" role="group" aria-label="{}">{}</div>', label, _value(value, project, DEPTH_MAX))


def _mask(found: re.Match[str], project: str) -> Markup:
    """Draw what stands for a masked value: a way to all decisions it is in."""
    kind, token = found[1].replace("_", " "), found[2]
    hint = f"Masked before it was stored. The same {kind} has the same letters everywhere in this project: {token}. See where"
    to = address("decisions", project=project, range=EVERYWHERE, q=found[0])
    shown = marks.said('{} <span class="cz-mono">{}</span>', kind, token[:4])
    return marks.said('<a class="cz-mask" href="{}" title="{}">{}</a>', to, hint, shown)


def _value(value: Any, project: str, depth: int) -> Markup:
    if isinstance(value, str):
        return redacted(value, project)
    if isinstance(value, Mapping) and value and depth:
        rows = [
            marks.said("<div><dt>{}</dt><dd>{}</dd></div>", redacted(str(key), project), _value(each, project, depth - 1))
            for key, each in _some(value.items())
        ]
        return marks.said("<dl>{}{}</dl>", marks.joined(rows), _rest(value))
    if isinstance(value, Sequence) and value and depth:
        rows = [marks.said("<li>{}</li>", _value(each, project, depth - 1)) for each in _some(value)]
        return marks.said("<ol>{}{}</ol>", marks.joined(rows), _rest(value))
    return marks.mono(json.dumps(value, ensure_ascii=False))


def _some(values: Any) -> list[Any]:
    return list(values)[:ITEMS_MAX]


def _rest(values: Any) -> Markup:
    return marks.quiet(f"… {len(values) - ITEMS_MAX:,} more") if len(values) > ITEMS_MAX else Markup("")
