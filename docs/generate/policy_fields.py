"""The fields of a policy and of a rule in docs/reference/policy.md, from their schema."""

from collections.abc import Mapping
from typing import Any

from controlzero.policy.schema import definitions, policy
from docs.generate.blocks import Block
from docs.generate.markdown import code, table


def blocks() -> Mapping[str, Block]:
    """Return the page's generated blocks."""
    schemas = {"policy": policy(), **definitions()}
    return {f"fields-of-a-{name}": lambda name=name: _fields(schemas[name], schemas) for name in ("policy", "rule")}  # type: ignore[misc]


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of an object's fields; one that is defined elsewhere is described there."""
    rows = []
    for name, field in schema["properties"].items():
        meant = schemas[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        rows.append((code(name), "required" if name in schema["required"] else "optional", meant["description"]))
    return table(("field", "", "what it says"), rows)
