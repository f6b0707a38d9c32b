"""`python -m benchmarks.peers.bytewax_driver MESSAGES`: land so many messages of the decisions topic, driven by Bytewax."""

import os
import sys

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from benchmarks.peers.portions import Portions
from topics.declarations import DECISIONS
from topics.log import Message
from topics.settings import KafkaSettings


def main() -> None:
    """Run until all has landed."""
    portions = Portions(int(sys.argv[1]))

    def take(came) -> None:  # type: ignore[no-untyped-def]
        named = {name: text.decode() for name, text in came.headers}
        portions.take(Message(partition=came.partition, offset=came.offset, key=came.key, value=came.value, headers=named))
        if portions.is_over:
            os._exit(0)

    flow = Dataflow("chain")
    source = KafkaSource([KafkaSettings().bootstrap_servers], [DECISIONS.name], batch_size=64)
    op.output("out", op.map("land", op.input("in", flow, source), take), TestingSink([]))
    run_main(flow)


if __name__ == "__main__":
    main()
