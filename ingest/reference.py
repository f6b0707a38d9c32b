"""The interface described: OpenAPI derived from the types, the limits and the problems, and a page that shows it."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI

from controlzero.records import ABSENT, SCHEMA_VERSION, Decision, Loss, Outcome
from ingest import limits
from ingest.admission import RejectedLine
from ingest.beside import Beside
from ingest.delivery import CONTENT_PRODUCER_PREFIX
from ingest.problems import KINDS
from topics.problems import PROBLEM_JSON

CZPOLICY = "application/vnd.controlzero.czpolicy"
NDJSON = "application/x-ndjson"

# name, what it says, required
DELIVERY_HEADERS = (
    ("Authorization", "`Bearer` and an API key.", True),
    ("CZ-Project", "The project the records are of. Default: the key's only one.", False),
    (
        "CZ-Producer",
        f"One run of one process that numbers its records. Default: `{CONTENT_PRODUCER_PREFIX}` and a digest of project and lines.",
        False,
    ),
    ("CZ-First-Seq", "The number of the first line; the producer's records are 0, 1, 2 … without gaps. Wanted with `CZ-Producer`.", False),
    ("CZ-Total", "How many records the producer has made so far. Default: the number after the last line.", False),
    ("CZ-Closed", "`1`: the producer ended in order and `CZ-Total` is final. The body may then be empty.", False),
    ("CZ-Schema-Version", f"The version of the records. Default and newest: {SCHEMA_VERSION}; a newer one is refused whole.", False),
    ("CZ-Backfill", "`1`: history, left out of alerts and freshness.", False),
    ("Content-Encoding", "`zstd`, `gzip` or nothing.", False),
)
DELIVERY_PROBLEMS = (401, 403, 408, 409, 413, 415, 422, 429, 503)
BUNDLE_PROBLEMS = (401, 403, 404, 422, 503)


EXAMPLE: dict[str, Any] = {
    "kind": "decision",
    "decision_id": "0190163d-8694-739b-aea5-966c26f8ad90",
    "occurred_at": 1_795_226_603_692_445,
    "agent_id": "support-bot",
    "action": "llm:generate",
    "resource": "model/gpt-5.4",
    "mode": "log-only",
    "effect": "allow",
}
"""A decision with the fields it must have, and who asked for what. Its time is in microseconds since 1970 UTC."""


def example_call() -> str:
    """Return a command that delivers a decision made now."""
    line = msgspec.json.encode(EXAMPLE).decode()
    line = line.replace(EXAMPLE["decision_id"], "$(python3 -c 'import uuid; print(uuid.uuid4())')")
    line = line.replace(str(EXAMPLE["occurred_at"]), "$(date +%s)000000")
    headers = f'-H "Authorization: Bearer $CONTROLZERO_API_KEY" -H "Content-Type: {NDJSON}"'
    return f"curl -sS http://127.0.0.1:8700/v1/decisions {headers} --data-binary @- <<END\n{line}\nEND"


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch: it is durable, so many of its lines are accepted, and these are in quarantine."""

    accepted: int
    rejected: tuple[RejectedLine, ...]
    received_at: int


def openapi_of(app: FastAPI, beside: Beside | None = None) -> dict[str, Any]:
    """Return the OpenAPI description of all routes: the hot one included, and those of the application beside."""
    description = dict(app.openapi())
    further = beside.openapi() if beside is not None else {}
    description["paths"] = {"/v1/decisions": {"post": _decisions_route()}, **description["paths"], **further.get("paths", {})}
    types = _schemas([Decision, Outcome, Loss, Receipt])
    components = dict(description.get("components", {}))
    problem = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("type", "title", "detail")} | {"status": {"type": "integer"}},
    }
    components["schemas"] = {**further.get("components", {}).get("schemas", {}), **types, "Problem": problem}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    description["components"] = components
    return description


def _schemas(types: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the JSON Schemas of types. Fields of raw JSON are described as what they hold, an object or null."""
    described = [
        msgspec.defstruct(
            kind.__name__,
            [
                (field.encode_name, dict[str, Any] | None, None)
                if field.default is ABSENT
                else (field.encode_name, field.type, msgspec.field(default=field.default))
                for field in msgspec.structs.fields(kind)
            ],
            kw_only=True,
            tag=kind.__struct_config__.tag,
            tag_field=kind.__struct_config__.tag_field,
            forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
        )
        for kind in types
    ]
    return msgspec.json.schema_components(described, ref_template="#/components/schemas/{name}")[1]


def _decisions_route() -> dict[str, Any]:
    record = {"oneOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (Decision, Outcome, Loss)]}
    return {
        "summary": "Deliver a batch of decisions and outcomes",
        "description": (
            "One JSON record a line. 202 once the batch is durable: it counts the accepted lines and names each rejected one,"
            " which is in quarantine under its number. So a batch of which no line is accepted is a 202 too: look at `rejected`."
            " A batch sent again is counted once."
        ),
        "x-codeSamples": [{"lang": "sh", "label": "A decision made now", "source": example_call()}],
        "security": [{"key": []}],
        "parameters": [
            {"name": name, "in": "header", "description": told, "required": required, "schema": {"type": "string"}}
            for name, told, required in DELIVERY_HEADERS
            if name != "Authorization"
        ],
        "requestBody": {"content": {NDJSON: {"schema": record, "example": EXAMPLE}}},
        "responses": {
            "202": {
                "description": "The batch is durable.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}},
            },
            **problem_responses(DELIVERY_PROBLEMS),
        },
    }


def bundle_responses() -> dict[int | str, dict[str, Any]]:
    """Return what `GET /v1/bundle` may answer."""
    told = {
        "ETag": "It stands for the bundle and the orders, for `If-None-Match`.",
        "CZ-Mode": "The project's mode now: enforce, log-only or off.",
        "CZ-Orders": "The kill switches in force: base64 of a JSON list of `{order_id, reason, agent_id}`; no `agent_id`: every agent."
        " Without the header there is none.",
        "CZ-Signing-Key": "The public keys to verify with, `<key id>:<base64>`, the newest first.",
        "CZ-Signing-Key-Endorsements": "What a rotated key said of the next, `<key id>><next key id>:<base64 of its signature>`:"
        " a client that trusts the first trusts the next.",
        "CZ-Project-Key": "The project's HMAC key, base64: for digests and tokens of personal data.",
    }
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in told.items()}
    return {
        200: {"description": "The bundle.", "headers": headers, "content": {CZPOLICY: {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "It is still the one of `If-None-Match`; the headers say what else may have changed.", "headers": headers},
        **problem_responses(BUNDLE_PROBLEMS),
    }


def problem_responses(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    """Return the problems of these statuses, each with its titles."""
    schema = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": "; ".join(kind.title for kind in KINDS.values() if kind.status == status) + ".", "content": schema}
        for status in statuses
    }


# What is bounded, by how much, and why; the reference page of the documentation holds the same rows.
LIMITS: tuple[tuple[str, str, str], ...] = (
    ("Body as sent", f"{limits.BODY_BYTES_MAX // 2**20} MiB", "413 `body-too-large`"),
    ("Body decompressed", f"{limits.EXPANDED_BYTES_MAX // 2**20} MiB", "413 `expanded-too-large`"),
    ("Lines in a batch", f"{limits.LINES_MAX:,}", "413 `too-many-lines`"),
    ("One line", f"{limits.LINE_BYTES_MAX // 2**20} MiB", "the line is rejected: `line_too_long`"),
    ("Nesting of one line", f"{limits.DEPTH_MAX} levels", "the line is rejected: `too_deep`"),
    (
        "Time for a request's headers",
        f"{limits.HEADERS_READ_S_MAX:g} s, {limits.HEADERS_BYTES_MAX // 2**10} KiB",
        "the connection is closed",
    ),
    ("Time to read an answer", f"{limits.ANSWER_READ_S_MAX:g} s", "the connection is closed"),
    ("Time for a body", f"{limits.BODY_READ_S_MAX:g} s", "408 `body-too-slow`"),
    ("One key's rate", f"{limits.RATE_LINES_PER_S:,.0f} lines/s, {limits.RATE_BURST_LINES:,.0f} at once", "429 `rate-limited`"),
    ("Bodies arriving at once", f"{limits.IN_FLIGHT_BYTES_MAX // 2**20} MiB", "429 `too-much-in-flight`"),
    ("Requests at once", f"{limits.REQUESTS_MAX:,}", "503 `too-many-requests-at-once`"),
    (
        "Free disk left to the workers",
        f"{limits.DISK_FREE_BYTES_MIN // 2**20} MiB or {limits.DISK_FREE_SHARE_MIN:.0%} of a smaller disk",
        "503 `disk-nearly-full`",
    ),
    ("Wait for a changed bundle", f"{limits.WAIT_S_MAX:g} s", "304"),
)

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font-family:ui-monospace,monospace;font-size:.9em}table{border-collapse:collapse;width:100%;margin:1rem 0;display:block;overflow-x:auto}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}
pre{overflow-x:auto;padding:.6rem .8rem;background:color-mix(in srgb,currentColor 8%,transparent)}h2{margin-top:2.5rem;overflow-wrap:anywhere}.method{font-weight:700;margin-right:.6rem}
"""


def reference_page(openapi: dict[str, Any], beside: Beside | None = None) -> str:
    """Return the reference as one page of HTML that fetches nothing."""
    schemas = openapi["components"]["schemas"]
    routes = "".join(
        _route(path, method, route, schemas) for path, methods in openapi["paths"].items() for method, route in methods.items()
    )  # fmt: skip
    bounds = "".join(_row(*row) for row in (*LIMITS, *(beside.limits if beside else ())))
    told: dict[str, tuple[int, str, str]] = {slug: (kind.status, kind.title, kind.next_step) for slug, kind in KINDS.items()}
    for status, name, title, next_step in beside.problems if beside else ():
        told.setdefault(name, (status, title, next_step))
    problems = "".join(
        f'<tr id="{slug}"><td>{status}</td><td>{_text(f"`{slug}`")}</td><td>{_text(title)}</td><td>{_text(next_step)}</td></tr>'
        for slug, (status, title, next_step) in sorted(told.items(), key=lambda row: row[1][0])
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{_text(openapi['info']['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{_text(openapi['info']['title'])} {_text(openapi['info']['version'])}</h1>"
        f"<p>Machine-readable: <a href=/openapi.json>openapi.json</a>, with the JSON Schema of every record.</p>{routes}"
        f"<h2>Limits</h2><table><tr><th>What<th>At most<th>Past it</tr>{bounds}</table>"
        f"<h2>Problems</h2><table><tr><th>Status<th>Problem<th>What happened<th>Next step</tr>{problems}</table>"
    )


def _route(path: str, method: str, route: dict[str, Any], schemas: dict[str, Any]) -> str:
    parameters = "".join(
        _row(f"`{parameter['name']}`", parameter["in"], parameter.get("description", "")) for parameter in route.get("parameters", ())
    ) + "".join(_body_rows(route, schemas))
    samples = "".join(f"<p>{_text(sample['label'])}:<pre>{_text(sample['source'])}</pre>" for sample in route.get("x-codeSamples", ()))
    answers = "".join(_row(status, answer.get("description", "")) for status, answer in route["responses"].items())
    return (
        f"<h2><span class=method>{method.upper()}</span><code>{_text(path)}</code></h2>"
        f"<p><b>{_text(route.get('summary', ''))}.</b> {_text(route.get('description', ''))}</p>{samples}"
        + (f"<table><tr><th>Parameter<th>In<th>Says</tr>{parameters}</table>" if parameters else "")
        + f"<table><tr><th>Status<th>Says</tr>{answers}</table>"
    )


def _body_rows(route: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each field of a JSON body."""
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    reference = next((each["$ref"] for each in (body, *body.get("anyOf", ())) if "$ref" in each), None)
    schema = schemas[_name(reference)] if reference else {}
    for name, field in schema.get("properties", {}).items():
        needed = ", needed" if name in schema.get("required", ()) else ""
        told = field.get("description", "")
        yield _row(f"`{name}`", f"body{needed}", f"{_kind(field, schemas)}. {told}".strip())


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return in words what a JSON Schema takes."""
    if "anyOf" in schema:
        return " or ".join(_kind(each, schemas) for each in schema["anyOf"])
    if "$ref" in schema:
        return f"{{{', '.join(f'`{name}`' for name in schemas[_name(schema['$ref'])]['properties'])}}}"
    if "enum" in schema or "const" in schema:
        return " | ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"a list of {_kind(schema['items'], schemas)}"
    words = {"string": "text", "object": "an object", "integer": "a whole number", "boolean": "true or false"}
    return words.get(schema["type"], str(schema["type"]))


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    """Return text as HTML, what is between backticks as code."""
    pieces = html.escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
