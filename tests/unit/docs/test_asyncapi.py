"""docs/reference/asyncapi.json is a document of AsyncAPI 3, and what the product writes to its topics is what it says."""

import json
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controlzero.batch import Batch, encode_batch
from controlzero.records import encode_record
from controlzero.testing import a_decision
from processors.steps.foreign import foreign
from topics.control import BundleRecord, ControlRecord, KeyRecord, OrderRecord, ProjectRecord, encode_control
from topics.declarations import TOPICS
from topics.log import Message

TESTS = Path(__file__).parents[2]
DOCUMENT = json.loads((TESTS.parent / "docs" / "reference" / "asyncapi.json").read_text(encoding="utf-8"))
SPECIFICATION = jsonschema.Draft7Validator(json.loads((TESTS / "schemas" / "asyncapi-3.0.0.json").read_text(encoding="utf-8")))
CONTROL: list[ControlRecord] = [
    KeyRecord(key_id="key_1", prefix="cz_live_abcd", sha256="0" * 64, projects=("demo",), created_at=1),
    BundleRecord(digest="0" * 64, project_id="demo", czpolicy=b"\x00\xff"),
    ProjectRecord(project_id="demo", name="Demo", mode="enforce", retention_days={"quarantine": 7}),
    OrderRecord(order_id="1", reason="it ran wild", issued_at=1, issued_by="ada", agent_id="bot"),
]


def takes(schema: dict[str, Any], value: object) -> bool:
    """Whether a schema of the document takes a value; what it refers to is the document's."""
    return bool(jsonschema.Draft7Validator({**schema, "components": DOCUMENT["components"]}).is_valid(value))


def message(name: str) -> dict[str, Any]:
    return dict(DOCUMENT["components"]["messages"][name])


def test_it_is_what_the_specification_says() -> None:
    assert [f"{error.json_path}: {error.message}" for error in SPECIFICATION.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "wrong", [{"asyncapi": "2.6.0"}, {"channels": {"decisions": {"adress": "cz"}}}, {"operations": {"a": {"action": "eat"}}}]
)
def test_the_specification_would_refuse_another(wrong: dict[str, Any]) -> None:
    assert not SPECIFICATION.is_valid({**DOCUMENT, **wrong})


def test_every_reference_leads_somewhere() -> None:
    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            return [str(item) for key, item in value.items() if key == "$ref"] + [
                found for item in value.values() for found in references(item)
            ]
        return [found for item in value for found in references(item)] if isinstance(value, list) else []

    found = references(DOCUMENT)
    assert len(found) > 20
    for reference in found:
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_its_channels_are_the_declared_topics() -> None:
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == {topic.name for topic in TOPICS}


def test_a_batch_is_the_message_it_says() -> None:
    for is_last in (False, True):
        batch = Batch(
            project_id="p", producer_id="s", first_seq=0, count=1, total=1, received_at=1, value=b"", closed=is_last, backfill=is_last
        )
        _, _, headers = encode_batch(batch)
        assert takes(message("batch")["headers"], headers)
        assert not takes(message("batch")["headers"], {**headers, "count": 1})
    line = json.loads(encode_record(a_decision()))
    assert takes(message("batch")["payload"]["x-line"], line)
    assert not takes(message("batch")["payload"]["x-line"], {**line, "verdict": "perhaps"})


@pytest.mark.parametrize("record", CONTROL, ids=lambda record: type(record).__name__)
def test_a_control_record_is_the_message_it_says(record: ControlRecord) -> None:
    written = json.loads(encode_control(record))
    assert takes(message(written["kind"])["payload"], written)
    assert not takes(
        message(written["kind"])["payload"], {name: value for name, value in written.items() if name != "kind"} | {"kind": "x"}
    )


def test_a_cloud_event_that_it_takes_is_one_that_the_workers_take() -> None:
    event = {"specversion": "1.0", "id": str(uuid.UUID(int=7)), "source": "/shop", "type": "decision", "project": "demo"}
    event["data"] = json.loads(encode_record(a_decision()))
    assert takes(message("cloudEvent")["payload"], event)
    headers = {"content-type": message("cloudEvent")["contentType"]}
    assert takes(message("cloudEvent")["headers"], headers)
    taken = foreign(Message(partition=0, offset=0, key=b"k", value=json.dumps(event).encode(), headers=headers))
    assert taken.project_id == "demo"
    del event["source"]
    assert not takes(message("cloudEvent")["payload"], event)
