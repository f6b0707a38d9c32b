"""`cz topics`: the declared topics on Kafka: what is there, what would be made, making it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from controlzero.errors import Rejected
from cz.display import console, print_json, table
from cz.home import Home, owned
from cz.moving import Moved, move_from_embedded
from cz.replaying import begin_at
from cz.up_command import HomeOption
from topics import kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.kafka_topics import TopicState
from topics.settings import KafkaSettings

JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs")]
Partitions = Annotated[
    int | None,
    Parameter(
        help="Of the decisions topic: as many workers can share it. It can never be changed. Default: as declared",
        validator=cyclopts.validators.Number(gte=1, lte=1_000),
    ),
]
Replicas = Annotated[
    int | None,
    Parameter(
        help="Brokers that keep a copy; from 2 on, two must have a message before it is acknowledged. Default: the cluster's own",
        validator=cyclopts.validators.Number(gte=1, lte=9),
    ),
]
Offset = Annotated[str, Parameter(help="PARTITION:OFFSET, such as 0:118000; of each partition one")]

app = cyclopts.App(name="topics", help="The topics on Kafka, from their one declaration.")


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """Show each declared topic as the cluster has it, and what an acknowledged message is worth there.

    Example:  cz topics list
    """
    states = kafka_topics.states(_settings())
    if as_json:
        print_json(states)
        return
    rows = [(one.name, one.state, str(one.partitions), _said(one)) for one in states]
    console.print(table("Topics", ("topic", "is", "partitions", ""), rows))
    if any(one.state == "missing" for one in states):
        console.print("Make what is missing: cz topics create")


@app.command
def plan(*, partitions: Partitions = None, replication_factor: Replicas = None, as_json: JsonOption = False) -> None:
    """Show what `cz topics create` would do, after asking the cluster whether it would; nothing is changed.

    Example:  cz topics plan --partitions 12 --replication-factor 3
    """
    kafka = _settings()
    planned = kafka_topics.plan(kafka, partitions=partitions, replication_factor=replication_factor)
    if as_json:
        print_json(planned)
        return
    if not planned:
        console.print("Nothing to do: every declared topic is there.")
        _say_what_stays(kafka_topics.states(kafka), partitions, replication_factor)
        return
    rows = [(one.name, str(one.partitions), str(one.replication_factor or "the cluster's"), _config(one.config)) for one in planned]
    console.print(table("To be made", ("topic", "partitions", "replicas", "settings"), rows))


@app.command
def create(
    *, partitions: Partitions = None, replication_factor: Replicas = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Make the topics that are missing, and carry over what an embedded log of the data folder holds. What is there is left as it is.

    Example:  cz topics create --partitions 12 --replication-factor 3
    """
    kafka = _settings()
    folder = Home.named(home)
    made = kafka_topics.create(kafka, partitions=partitions, replication_factor=replication_factor)
    moved = Moved()
    if folder.log.exists():
        with owned(folder), closing(KafkaLog(kafka)) as log:
            moved = move_from_embedded(folder, log)
    if as_json:
        print_json({"made": made, "control_records": moved.control_records, "records_landed": moved.records_landed})
        return
    console.print(f"Made {', '.join(made)}." if made else "Nothing to make: every declared topic is there.")
    if not made:
        _say_what_stays(kafka_topics.states(kafka), partitions, replication_factor)
    if moved.control_records or moved.records_landed:
        console.print(
            f"Of {folder.log}: {moved.records_landed:,} records that waited were landed, {moved.control_records:,} settings carried over."
        )


@app.command
def begin(offset: Offset, /, *more: Offset, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Have a new data folder's ledger land the decisions topic from these offsets on, to replay from there: before its first worker.

    A partition that is not named begins at the start of the topic.

    Example:  cz topics begin 0:118000 1:117500 --home /srv/replay
    """
    folder = Home.named(home)
    named = dict(map(_place, (offset, *more)))
    with closing(KafkaLog(_settings())) as log:
        begins = begin_at(folder.ledger, log, named)
    if as_json:
        print_json(begins)
        return
    console.print(table("Begins", ("partition", "at offset"), [(str(partition), str(offset)) for partition, offset in begins.items()]))


def _place(said: str) -> tuple[int, int]:
    partition, _, offset = said.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise Rejected(f"`{said}`: expected a partition and an offset, such as 0:118000")
    return int(partition), int(offset)


def _settings() -> KafkaSettings:
    settings = KafkaSettings()
    if settings.bootstrap_servers is None:
        raise Rejected(
            "the log is the embedded one, its topics are made by themselves; to look at Kafka's, set KAFKA_BOOTSTRAP_SERVERS=host:9092"
        )
    return settings


def _say_what_stays(states: Sequence[TopicState], partitions: int | None, replication_factor: int | None) -> None:
    """Say what was asked for and is otherwise: a topic that is there is left as it is."""
    for one in states:
        if one.name == DECISIONS.name and partitions not in (None, one.partitions):
            console.print(f"{one.name} has {one.partitions} partitions and keeps them.")
        if replication_factor not in (None, one.replication_factor):
            console.print(
                f"{one.name} has a replication factor of {one.replication_factor}; Kafka's own kafka-reassign-partitions changes that."
            )


def _said(state: TopicState) -> str:
    if state.state == "missing":
        return ""
    return "; ".join((*state.differences, state.worth))


def _config(config: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in config.items())
