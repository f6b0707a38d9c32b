"""What routes answer, for OpenAPI: the schemas of the records, from their types."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from msgspec import Struct

from controlplane.api.answering import NAME_CHARS_MAX
from controlplane.api.problems import KINDS
from topics.control import Scope
from topics.problems import PROBLEM_JSON

REF = "#/components/schemas/{name}"
PROBLEMS_OF_ALL = (401, 403, 404, 408, 413, 422, 429, 503)
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of your own for this change: asked for again under it within a day, it is answered as before and made no second time.",
    "schema": {"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX},
}
_known: dict[str, type[Struct]] = {}


def page_of(kind: type[Struct]) -> type[Struct]:
    """Return the type of a page of these records."""
    return msgspec.defstruct(f"{kind.__name__}Page", [("items", list[kind]), ("next_cursor", str | None)], frozen=True)  # type: ignore[valid-type]


def answers(kind: type[Struct], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers where all is well."""
    _known[kind.__name__] = kind
    return {
        status: {
            "description": (kind.__doc__ or "A page.").strip().partition("\n")[0],
            "content": _json({"$ref": REF.format(name=kind.__name__)}),
        }
    }


def described(app: FastAPI, scopes: Mapping[tuple[str, str], Scope]) -> dict[str, Any]:
    """Return the application's OpenAPI description: with the records, the problems, and the scope that each route needs."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    description = FastAPI.openapi(app)
    _, schemas = msgspec.json.schema_components(list(_known.values()), ref_template=REF)
    components = description.setdefault("components", {}).setdefault("schemas", {})
    components.update(schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            route["security"] = [{"key": []}]
            route["x-scope"] = scopes[method, path]
            if route["x-scope"].endswith(":write"):
                route["parameters"] = [*route.get("parameters", ()), IDEMPOTENCY_KEY]
            route["responses"] = {**_without_422(route["responses"]), **_problems()}
            route["description"] = f"{route['description'].strip()} Needs the scope `{route['x-scope']}`."
    return description


def _without_422(responses: Mapping[str, Any]) -> dict[str, Any]:
    return {status: response for status, response in responses.items() if status != "422"}


def _problems() -> dict[str, Any]:
    return {str(status): _problem([kind.title for kind in KINDS.values() if kind.status == status]) for status in PROBLEMS_OF_ALL}


def _problem(titles: Sequence[str]) -> dict[str, Any]:
    return {"description": "; ".join(titles) + ".", "content": {PROBLEM_JSON: {"schema": {"$ref": REF.format(name="Problem")}}}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
