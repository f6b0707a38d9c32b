"""`cz`: the command line of Control Zero Audit."""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from controlzero.errors import ControlZeroError
from controlzero.version import __version__

if TYPE_CHECKING:
    from cyclopts import App

HELP = """Streaming audit and compliance for AI agents.

Start here:  `cz up`  runs the product over .controlzero;  `cz demo`  shows it with a fortnight of data and live agents.
"""
COMMANDS = {
    "up": "cz.up_command:up",
    "demo": "cz.demo_command:demo",
    "import": "cz.import_command:import_",
    "decisions": "cz.decisions_command:decisions",
    "quarantine": "cz.quarantine_command:quarantine",
    "alerts": "cz.alerts_command:alerts",
    "doctor": "cz.doctor_command:doctor",
    "project": "cz.projects:app",
    "keys": "cz.keys:app",
    "secrets": "cz.secrets_command:app",
    "tools": "cz.tools_command:app",
    "organisations": "cz.organisations_command:app",
    "members": "cz.members_command:app",
    "environments": "cz.environments_command:app",
    "policy": "cz.policies:app",
    "bundle": "cz.bundle_command:app",
    "mode": "cz.modes:app",
    "kill": "cz.kill_command:app",
    "log": "cz.control_log:app",
    "topics": "cz.topics_command:app",
    "mcp-proxy": "cz.mcp_proxy_command:mcp_proxy",
}


def command_line(asked: str | None = None) -> "App":
    """Return the command line: with the one command `asked` for, so that it starts fast, or with all of them."""
    from cyclopts import App

    app, left_out = App(name="cz", version=__version__, help=HELP, help_format="markdown"), []
    for name, place in COMMANDS.items():
        if asked not in COMMANDS or asked == name:
            module, _, attribute = place.partition(":")
            try:
                app.command(getattr(import_module(module), attribute), name=name)
            except ModuleNotFoundError:
                if asked == name:
                    raise
                left_out.append(f"`{name}`")
    if left_out:
        app.help = f"{HELP}\nNot installed: {', '.join(left_out)}; `pip install 'controlzero-audit[all]'` brings them.\n"
    return app


def main() -> None:
    """Run one command; a failure people can mend is a sentence on standard error, and exit code 1."""
    try:
        command_line(sys.argv[1] if len(sys.argv) > 1 else None)()
    except ControlZeroError as failed:
        _fail(str(failed))
    except ModuleNotFoundError as missing:
        module = (missing.name or "").partition(".")[0]
        extra = "kafka" if module == "confluent_kafka" else "dashboards"
        _fail(f"`{module}` is not installed, the SDK does without it; install the product: pip install 'controlzero-audit[{extra}]'")
    except BrokenPipeError:  # `cz decisions | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as kept_out:
        if kept_out.filename is None:
            raise
        _fail(f"{kept_out.filename}: {kept_out.strerror}; name a place that is there and is yours to read and write")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(sentence: str) -> None:
    try:
        from rich.console import Console
        from rich.text import Text

        from cz.display import plain
    except ModuleNotFoundError:
        print(f"cz: {sentence}", file=sys.stderr)
    else:  # a sentence names what was read: it is no markup, no `:emoji:`, and nothing that a terminal obeys
        Console(stderr=True).print(Text.assemble(("cz:", "red"), " ", plain(sentence)), highlight=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
