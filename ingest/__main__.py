"""`python -m ingest`: run the gateway."""

import argparse
import sys

from pydantic import ValidationError

from ingest.server import serve
from ingest.settings import Settings


def main() -> None:
    """Read the arguments and the environment, then serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m ingest", description="The gateway: takes decisions in over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(f"CZ_{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors())
        sys.exit(f"The gateway's settings are wrong: {problems}. Correct these environment variables.")
    serve(settings, host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
