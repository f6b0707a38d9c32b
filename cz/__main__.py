"""`cz`: the command line of Control Zero Audit."""

import sys

from cyclopts import App
from rich.console import Console

from controlzero.errors import ControlZeroError
from controlzero.version import __version__
from cz import control_log, decisions_command, demo_command, doctor_command, import_command, keys, modes, policies, projects, up_command

app = App(
    name="cz",
    version=__version__,
    help="""Streaming audit and compliance for AI agents.

Start here:  `cz up`  runs the product over .controlzero;  `cz demo`  shows it with a fortnight of data and live agents.
""",
    help_format="markdown",
)
app.command(up_command.up)
app.command(demo_command.demo)
app.command(import_command.import_, name="import")
app.command(decisions_command.decisions)
app.command(doctor_command.doctor)
for part in (projects, keys, policies, modes, control_log):
    app.command(part.app)


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
