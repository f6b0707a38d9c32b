"""`cz`: the command line of Control Zero Audit."""

import sys

from cyclopts import App
from rich.console import Console

from controlzero.errors import ControlZeroError
from controlzero.version import __version__

app = App(
    name="cz",
    version=__version__,
    help="""Streaming audit and compliance for AI agents.

Start here:  `cz up`  runs the product over .controlzero;  `cz demo`  shows it with a fortnight of data and live agents.
""",
    help_format="markdown",
)
COMMANDS = {  # by where they are: a command loads what it needs when it is asked for, so each starts fast
    "up": "cz.up_command:up",
    "demo": "cz.demo_command:demo",
    "import": "cz.import_command:import_",
    "decisions": "cz.decisions_command:decisions",
    "alerts": "cz.alerts_command:alerts",
    "doctor": "cz.doctor_command:doctor",
    "project": "cz.projects:app",
    "keys": "cz.keys:app",
    "policy": "cz.policies:app",
    "mode": "cz.modes:app",
    "log": "cz.control_log:app",
}
for name, place in COMMANDS.items():
    app.command(place, name=name)


def main() -> None:
    """Run one command; a failure people can mend is a sentence on standard error, and exit code 1."""
    try:
        app()
    except ControlZeroError as failed:
        Console(stderr=True).print(f"[red]cz:[/] {failed}", highlight=False, markup=True, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
