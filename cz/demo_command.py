"""`cz demo`: the product with a fortnight behind it and six agents at work."""

import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from controlzero.errors import Rejected
from cz import settings
from cz.demo import stage
from cz.home import Home

DEMO_HOME = Path(".demo")
MARK = "demo"  # the file that says a folder is a demonstration's, and so may be thrown away


def demo(
    *,
    home: Annotated[Path, Parameter(help="A folder of its own, made anew each time")] = DEMO_HOME,
    host: Annotated[str, Parameter(help="The address to listen on")] = settings.DEFAULT_HOST,
    port: Annotated[int, Parameter(help="The gateway's port; 0 takes a free one")] = settings.DEFAULT_PORT,
    dashboards_port: Annotated[int, Parameter(help="The dashboards' port; 0 takes a free one")] = settings.DEFAULT_DASHBOARDS_PORT,
    days: Annotated[int, Parameter(help="Days of history")] = 14,
    seed: Annotated[int, Parameter(help="The same seed makes the same history")] = 1,
) -> None:
    """Show the product: a fresh data folder, a fortnight of history, live agents, and three incidents.

    In the first two minutes: personal data leaks, an agent keeps a stale bundle, and a policy change makes
    denials jump. Ctrl-C ends it.

    Example:  cz demo --port 8710 --dashboards-port 8511
    """
    where = Home(home.resolve())
    _fresh(where)
    options = stage.Options(host=host, port=port, dashboards_port=dashboards_port, days=days, seed=seed)
    stage.play(where, options, environment=settings.read().environment, console=Console())


def _fresh(home: Home) -> None:
    """Throw the last demonstration away; refuse to throw away anything else."""
    if home.path.exists() and any(home.path.iterdir()):
        if not (home.path / MARK).exists():
            raise Rejected(f"{home.path} is not empty and not a demonstration's; name another folder with --home")
        shutil.rmtree(home.path)
    home.path.mkdir(parents=True, exist_ok=True)
    (home.path / MARK).touch()
