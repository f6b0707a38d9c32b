"""`python -m ingest`: run the gateway."""

import argparse

from ingest.server import serve
from ingest.settings import Settings
from topics.settings import ending_in_a_sentence


def main() -> None:
    """Read the arguments and the environment, then serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m ingest", description="The gateway: takes decisions in over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one (default: %(default)s)")
    arguments = parser.parse_args()
    with ending_in_a_sentence():
        serve(Settings(), host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
