"""Start the pages: `python -m dashboards`, from any folder; this process becomes the server."""

import argparse
import os
import sys
from pathlib import Path

from dashboards.settings import Settings
from dashboards.theme import streamlit_flags
from topics.settings import ending_in_a_sentence


def main() -> None:
    """Replace this process by Streamlit on our pages, with our theme and nothing that calls out."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Serve the dashboards of a data folder.")
    parser.add_argument("--host", default=settings.dashboards_host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=settings.dashboards_port, help="port to listen on (%(default)s)")
    parser.add_argument("--home", type=Path, default=settings.home, help="data folder (%(default)s)")
    parser.add_argument("--as", dest="actor", default=settings.actor, help="who changes what is changed here (%(default)s)")
    given = parser.parse_args()
    app = Path(__file__).with_name("served.py")
    environment = settings.environment() | {"CZ_HOME": str(given.home.resolve()), "CZ_ACTOR": given.actor}
    command = [sys.executable, "-m", "streamlit", "run", str(app), *streamlit_flags(host=given.host, port=given.port)]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell: our interpreter, our arguments


if __name__ == "__main__":
    with ending_in_a_sentence():
        main()
