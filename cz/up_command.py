"""`cz up`: run the embedded product."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from controlzero.errors import Unavailable
from cz import settings
from cz.home import Home
from cz.up import serve

HomeOption = Annotated[Path | None, Parameter(name="--home", help="The data folder. Default: $CZ_HOME, else .controlzero")]


def up(
    *,
    home: HomeOption = None,
    host: Annotated[
        str, Parameter(help="The address to listen on. Beyond 127.0.0.1 the gateway asks for keys, the dashboards ask for nothing")
    ] = settings.DEFAULT_HOST,
    port: Annotated[int, Parameter(help="The gateway's port; 0 takes a free one")] = settings.DEFAULT_PORT,
    dashboards_port: Annotated[int, Parameter(help="The dashboards' port; 0 takes a free one")] = settings.DEFAULT_DASHBOARDS_PORT,
    dashboards: Annotated[bool, Parameter(help="Run the dashboards as well")] = True,
) -> None:
    """Run the product: gateway, worker, watch, keeper and dashboards, until Ctrl-C.

    The first run makes the project `default`, log-only, with a starter policy, and prints its API key once.

    Example:  cz up --home /srv/audit --port 8700
    """
    if dashboards and find_spec("streamlit") is None:
        raise Unavailable(
            "`streamlit` is not installed: install it with pip install 'controlzero-audit[dashboards]', or say --no-dashboards"
        )
    serve(
        Home.named(home),
        host=host,
        port=port,
        dashboards_port=dashboards_port if dashboards else None,
        environment=settings.read().environment,
        console=Console(),
    )
