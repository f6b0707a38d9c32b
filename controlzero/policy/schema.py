"""The JSON Schema of a policy: the fields, words and limits that `parse` goes by, for editors.

It takes all that `parse` takes, and a little more. What no schema says, or only so that nobody understands it any more: that ids
differ, that texts hold no control or invisible character, how large a number is; and of the text itself: that no key is there
twice, that there is no anchor, tag or second document, its size and depth.
"""

import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import fields

from controlzero.policy.model import (
    CONDITIONS_MAX,
    DESCRIPTION_CHARS_MAX,
    KEY_CHARS_MAX,
    KEY_SEGMENTS_MAX,
    NAME_CHARS_MAX,
    PATTERN_CHARS_MAX,
    PATTERNS_MAX,
    REASON_CHARS_MAX,
    RULES_MAX,
    Operator,
    Rule,
)
from controlzero.policy.parse import (
    EFFECTS,
    MODES,
    NAMESPACES,
    NOTED,
    OPERATORS,
    ORDERING,
    POLICY_FIELDS,
    RESERVED_KEYS,
    RESOURCE,
    RULE_FIELDS,
)

DIALECT = "http://json-schema.org/draft-07/schema#"  # what every editor reads; of the later ones some read a part
Schema = dict[str, Any]


def policy_schema() -> Schema:
    """Return the JSON Schema of a policy file: an object with `rules`, or the rules alone."""
    return {"$schema": DIALECT, "title": "Policy", **policy(), "definitions": definitions()}


def policy() -> Schema:
    """Return the schema of a policy, which refers to `definitions`."""
    rules = {"maxItems": RULES_MAX, "items": {"$ref": "#/definitions/rule"}}
    said: dict[str, Schema] = {
        "name": {"description": "How decisions refer to it.", **_text(NAME_CHARS_MAX)},
        "description": {"description": "What it is for.", **_text(DESCRIPTION_CHARS_MAX)},
        "rules": {"description": "The rules, in order: the first that matches decides, and none is a deny.", "type": "array", **rules},
    }
    return {
        "description": "Ordered rules under a name, or the rules alone.",
        "type": ["object", "array"],
        "properties": {field: said[field] for field in POLICY_FIELDS},
        "required": ["rules"],
        "additionalProperties": False,
        **rules,
    }


def definitions() -> dict[str, Schema]:
    """Return the schemas that a policy's refers to."""
    return {"rule": _rule(), "conditions": _conditions(), "wanted": _wanted()}


def _rule() -> Schema:
    said: dict[str, Schema] = {
        "id": {"description": "How decisions refer to it; without one it is `<policy name>#<place>`, from 1.", **_text(NAME_CHARS_MAX)},
        "effect": {"description": f"What it says of what it matches: {_listed(EFFECTS)}.", "enum": list(EFFECTS)},
        "action": {"description": "A pattern such as `llm:*`, or a list of them: any may match.", **_patterns()},
        "resource": {"description": "A pattern, or a list of them; left out it is `*`.", **_or_null(_patterns())},
        "conditions": {"$ref": "#/definitions/conditions"},
        "reason": {"description": "What the caller is told.", **_text(REASON_CHARS_MAX)},
        "mode": {
            "description": "`log-only`: in a project that enforces, what the rule decides is recorded and nothing more.",
            "enum": [*MODES, None],
        },
    }
    return {
        "description": "What is said of which actions on which resources under which conditions.",
        "type": "object",
        "properties": {field: said[field] for field in RULE_FIELDS},
        "required": [field.name for field in fields(Rule) if field.required],
        "additionalProperties": False,
    }


def _conditions() -> Schema:
    return {
        "description": "Keys such as `agent_id`, `tier`, `tags.team` or `args.amount`, and what is wanted of them: all must hold.",
        "type": ["object", "null"],
        "maxProperties": CONDITIONS_MAX,
        "propertyNames": {
            "minLength": 1,
            "maxLength": KEY_CHARS_MAX,
            "pattern": _key_pattern(),
            "patternErrorMessage": f"Expected a key such as agent_id, tier, tags.team, args.path, of at most {KEY_SEGMENTS_MAX} parts.",  # what editors say instead
        },
        "additionalProperties": {"$ref": "#/definitions/wanted"},
        "not": {"type": "object", "required": ["agent_id", "agent_name"]},  # of what is no object, all that is required is there
    }


def _key_pattern() -> str:
    no_key = "|".join(map(re.escape, (*RESERVED_KEYS, RESOURCE)))
    meant_otherwise = "|".join(map(re.escape, NAMESPACES))
    return rf"^(?![\s{NOTED}])(?!.*\s$)(?!({no_key})$)(?!({meant_otherwise})\.)[^.]+(\.[^.]+){{0,{KEY_SEGMENTS_MAX - 1}}}$"


def _wanted() -> Schema:
    return {
        "description": "A glob, a list of them of which any may match, or operators that must all hold.",
        "type": ["string", "number", "boolean", "array", "object"],
        **_TEXT_OF_PATTERN,
        **_LIST_OF_VALUES,
        "properties": {operator: _operand(operator) for operator in OPERATORS},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _operand(operator: Operator) -> Schema:
    if operator in ("in", "not_in"):
        return {"type": "array", **_LIST_OF_VALUES}
    if operator in ("exists", "not_exists"):
        return {"type": "boolean"}
    return {**_SCALAR, "type": ["string", "number"]} if operator in ORDERING else _SCALAR


_TEXT_OF_PATTERN: Schema = {"minLength": 1, "maxLength": PATTERN_CHARS_MAX}
_LIST: Schema = {"minItems": 1, "maxItems": PATTERNS_MAX}
_SCALAR: Schema = {"type": ["string", "number", "boolean"], **_TEXT_OF_PATTERN}
_LIST_OF_VALUES: Schema = {**_LIST, "items": _SCALAR}


def _patterns() -> Schema:
    one: Schema = {"type": "string", **_TEXT_OF_PATTERN}
    return {**one, **_LIST, "type": ["string", "array"], "items": one}


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _text(chars_max: int) -> Schema:
    return {"type": ["string", "null"], "pattern": r"\S", "maxLength": chars_max}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [*schema["type"], "null"]}
