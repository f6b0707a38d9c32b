"""The AsyncAPI document of the topics: from their declarations, the types of what is in them, and the codecs' own headers."""

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from controlzero.batch import Batch, encode_batch
from controlzero.records import Decision, Loss, Outcome, Record
from controlzero.version import __version__
from docs.generate.schemas import described
from docs.generate.source_comments import field_comments
from processors.steps.foreign import BINARY_PREFIX, STRUCTURED, CloudEvent
from topics.control import ControlRecord
from topics.declarations import CONTROL, DECISIONS, Topic
from topics.kafka_topics import config_of

SCHEMAS = "#/components/schemas/{name}"
MESSAGES = "#/components/messages/{name}"
BINDING = "0.5.0"
ALONE = (Decision, Outcome, Loss)  # what a message of a foreign producer may be: a rejected line is the gateway's to write
HEADERS: Mapping[str, str] = {
    "project": "the project that the gateway admitted the batch for, or an SDK made it for",
    "producer": "whose records these are: one run of one SDK",
    "first_seq": "the number of the first line among the producer's records, from 0; line i is first_seq + i",
    "count": "how many lines the batch has",
    "total": "how many records the producer had made when it sent this",
    "received_at": "when the gateway took it in, microseconds since 1970 UTC; an SDK that sends to Kafka itself leaves it to the worker",
    "schema_version": "the version of the records",
    "closed": "1 where the producer said that it ends with this batch",
    "backfill": "1 where this is history, which sets off no alert",
}
ATTRIBUTES: Mapping[str, str] = {
    "specversion": "1.0",
    "id": "stands for the decision's own id where it has none",
    "source": "who made it, a URI",
    "type": "what it is called there",
    "time": "stands for `occurred_at` where the record has none, RFC 3339",
    "project": "an extension attribute: the project",
}


def document() -> str:
    """Return the document as JSON text."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    channels = {"decisions": (DECISIONS, ("batch", "record", "cloudEvent", "cloudEventBinary")), "control": (CONTROL, tuple(_control()))}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Control Zero Audit: the topics",
            "version": __version__,
            "description": (
                "What flows between gateways, workers and the control plane on Kafka. Programs of yours may write decisions, "
                "as a record alone or as a CloudEvent; the other messages are the product's own."
            ),
            "license": {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(topic, messages) for name, (topic, messages) in channels.items()},
        "operations": {
            "admitDecisions": _operation(
                "send",
                "decisions",
                "A gateway appends what it admitted, before it answers; an SDK may append what it recorded itself.",
                ("batch",),
            ),
            "landDecisions": _operation("receive", "decisions", "Workers judge, inspect and land; what can't be read is quarantined."),
            "publishControl": _operation("send", "control", "The control plane publishes each change after its commit."),
            "followControl": _operation("receive", "control", "Gateways, workers, watch and keeper follow from the beginning."),
        },
        "components": {"messages": {**_of_decisions(), **_of_control()}, "schemas": dict(sorted(_schemas()))},
    }


def _channel(topic: Topic, messages: tuple[str, ...]) -> dict[str, Any]:
    said = config_of(topic, None)
    config = {name: [value] if name == "cleanup.policy" else int(value) for name, value in said.items()}
    tombstones = " A message without a value removes what its key named." if topic.cleanup == "compact" else ""
    return {
        "address": topic.name,
        "description": f"Key: `{topic.key}`.{tombstones}",
        "messages": {name: {"$ref": MESSAGES.format(name=name)} for name in messages},
        "bindings": {
            "kafka": {"topic": topic.name, "partitions": topic.partitions, "topicConfiguration": config, "bindingVersion": BINDING}
        },
    }


def _operation(action: str, channel: str, summary: str, messages: tuple[str, ...] = ()) -> dict[str, Any]:
    named = {"messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]} if messages else {}
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary, **named}


def _of_decisions() -> dict[str, Any]:
    lines, alone = _any_of(get_args(Record)), _any_of(ALONE)
    attributes = {f"{BINARY_PREFIX}{name}": meaning for name, meaning in _attributes().items()}
    return {
        "batch": {
            "title": "A batch: consecutive records of one producer",
            "contentType": "application/x-ndjson",
            "headers": _headers(_batch_headers(), optional={"received_at", "closed", "backfill"}),
            "payload": {
                "type": "string",
                "format": "binary",
                "contentEncoding": "zstd",
                "contentMediaType": "application/x-ndjson",
                "description": "Records as JSON, a line each, compressed by zstd. `x-line` is the schema of a line.",
                "x-line": lines,
            },
            "bindings": _keyed("project/producer"),
        },
        "record": {
            "title": "A record alone, as a foreign producer writes it",
            "summary": "`kind` is `decision` where it is not said.",
            "headers": _headers({"project": "the project; else the first part of the key names it"}, optional={"project"}),
            "payload": alone,
            "bindings": _keyed("project/anything"),
        },
        "cloudEvent": {
            "title": "A record as a CloudEvent, structured",
            "contentType": STRUCTURED,
            "headers": _headers({"content-type": STRUCTURED, "project": "the project"}, optional={"project"}),
            "payload": {"$ref": SCHEMAS.format(name="CloudEvent")},
            "bindings": _keyed("project/anything"),
        },
        "cloudEventBinary": {
            "title": "A record as a CloudEvent, binary",
            "headers": _headers(attributes, optional={f"{BINARY_PREFIX}{name}" for name in ("time", "project")}),
            "payload": alone,
            "bindings": _keyed("project/anything"),
        },
    }


def _of_control() -> dict[str, Any]:
    return {
        name: {
            "title": f"{kind.__name__}: {_first_line(kind)}",
            "payload": {"$ref": SCHEMAS.format(name=kind.__name__)},
            "bindings": _keyed(f"{kind.__struct_config__.tag}/id"),
        }
        for name, kind in _control().items()
    }


def _control() -> dict[str, type[Struct]]:
    return {str(kind.__struct_config__.tag): kind for kind in get_args(ControlRecord)}


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in get_args(Record):
        schema, definitions = described(kind, ref_template=SCHEMAS)
        yield kind.__name__, schema
        yield from definitions.items()
    _, components = msgspec.json.schema_components([*_control().values(), CloudEvent], ref_template=SCHEMAS)
    components["CloudEvent"]["properties"]["data"] = _any_of(ALONE)
    for name, kind in {**{kind.__name__: kind for kind in _control().values()}, "CloudEvent": CloudEvent}.items():
        meanings = _attributes() if kind is CloudEvent else field_comments(kind)
        for field, meaning in meanings.items():
            components[name]["properties"][field]["description"] = meaning
    for name, schema in components.items():
        schema["description"] = inspect.cleandoc(schema["description"])
        yield name, schema


def _any_of(kinds: tuple[type[Struct], ...]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": SCHEMAS.format(name=kind.__name__)} for kind in kinds]}


def _headers(meanings: Mapping[str, str], *, optional: set[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": meaning} for name, meaning in meanings.items()},
        "required": [name for name in meanings if name not in optional],
    }


def _keyed(key: str) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": f"`{key}`"}, "bindingVersion": BINDING}}


def _batch_headers() -> dict[str, str]:
    """Return the headers that the codec writes, by what it writes for a batch that has them all. Raises `LookupError` for one without a meaning."""
    everything = Batch(project_id="p", producer_id="p", first_seq=0, count=0, total=0, received_at=0, value=b"", closed=True, backfill=True)
    return {name: HEADERS[name] for name in encode_batch(everything)[2]}


def _attributes() -> dict[str, str]:
    return {field.name: ATTRIBUTES[field.name] for field in msgspec.structs.fields(CloudEvent) if field.name != "data"}


def _first_line(kind: type[Struct]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
