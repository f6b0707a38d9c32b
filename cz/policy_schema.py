"""`cz policy schema`: the JSON Schemas of policies and of their tests, for editors."""

import json
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from controlzero.policy.schema import DIALECT, definitions, policy, policy_schema
from cz.display import source
from cz.policy_cases import Group

Of = Literal["policies", "cases"]
ONE_OF = ("call", "guard")


def schema(*, of: Annotated[Of, Parameter(help="Of policies, or of the cases that `cz policy test` takes")] = "policies") -> None:
    """Print the JSON Schema of policies, for editors: they complete fields, show what each means, mark what is wrong.

    `cz policy validate` says more: a schema knows nothing of ids that are there twice or rules that can never decide.
    What is printed is JSON: there is no `--json` to ask for it.

    Example:  cz policy schema

    Example:  cz policy schema --of cases
    """
    source(schema_text(of), "json")


def schema_text(of: Of) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(policy_schema() if of == "policies" else cases_schema(), indent=2, ensure_ascii=False) + "\n"


def cases_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of cases: a group of them, or a list of groups. That a file named in it is there, no schema says."""
    (group,), components = msgspec.json.schema_components([Group], ref_template="#/definitions/{name}")
    components["Case"]["oneOf"] = [{"required": [name], "properties": {name: {"type": "object"}}} for name in ONE_OF]
    return {
        "$schema": DIALECT,
        "title": "Tests of policies",
        "anyOf": [group, {"type": "array", "items": group}],
        "definitions": {**components, "policy": policy(), **definitions()},
    }
