"""`python -m benchmarks.peers.quixstreams_driver MESSAGES`: land so many messages of the decisions topic, driven by Quix Streams."""

import os
import sys

from quixstreams import Application, message_context

from benchmarks.peers.portions import Portions
from topics.declarations import DECISIONS
from topics.log import Message
from topics.settings import KafkaSettings


def main() -> None:
    """Run until all has landed."""
    portions = Portions(int(sys.argv[1]))

    def take(value: bytes, key: bytes, _timestamp: int, headers: list[tuple[str, bytes]] | None) -> None:
        at = message_context()
        named = {name: text.decode() for name, text in headers or ()}
        portions.take(Message(partition=at.partition, offset=at.offset, key=key, value=value, headers=named))
        if portions.is_over:
            os._exit(0)  # there is no way to stop it from within

    app = Application(
        broker_address=KafkaSettings().bootstrap_servers, consumer_group="quixstreams", auto_offset_reset="earliest", loglevel="ERROR"
    )
    topic = app.topic(DECISIONS.name, key_deserializer="bytes", value_deserializer="bytes")
    app.run(app.dataframe(topic).apply(take, metadata=True))


if __name__ == "__main__":
    main()
