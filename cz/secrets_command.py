"""`cz secrets`: what a project's agents may read in the clear, and nobody else: set, listed without values, deleted."""

import getpass
import sys
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from controlplane.model import SECRET_BYTES_MAX
from controlzero.errors import Rejected
from cz.display import console, done, empty, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane

app = cyclopts.App(name="secrets", help="Secrets of a project: sealed in the control plane, brought to agents by their session.")

NameArgument = Annotated[str, Parameter(help="Its name: letters, digits, `_`, `.` and `-`, such as OPENAI_API_KEY")]
EnvironmentOption = Annotated[str | None, Parameter(name=["--environment", "-e"], help="For this environment alone. Default: for all")]


@app.command(name="set")
def set_(name: NameArgument, *, project: ProjectOption = None, environment: EnvironmentOption = None, options: Changing = CHANGING) -> None:
    """Keep a secret under a name, in the place of the one there is.

    The value is read from standard input, or asked for where that is a terminal: never from the command line, which others can see.
    One line end behind it is left out. So a file is kept by `< FILE` behind the command, and what another program says by a pipe.

    Example:  cz secrets set STRIPE_KEY --project shop

    Example:  cz secrets set OPENAI_API_KEY --project shop --environment production --why "the production account"
    """
    value = _value(name)
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        kept = plane.set_secret(chosen, name, value, environment=environment, actor=options.actor, why=options.why)
    if options.json:
        print_json(kept)
        return
    done(
        f"Secret {name} of project {chosen} is set, version {kept.version}. Agents have it from their next session on.",
        next_step=f"cz keys list --project {chosen}  shows which keys have the scope secrets:read",
    )


@app.command(name="list")
def list_(*, project: ProjectOption = None, options: Reading = READING) -> None:
    """List the secrets of a project: all but their values, which nothing shows.

    Example:  cz secrets list --project shop --json
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        secrets = plane.list_secrets(chosen)
    if options.json:
        print_json(secrets)
        return
    if not secrets:
        empty(f"Project {chosen} has no secret.", f"cz secrets set NAME --project {chosen} < FILE")
        return
    rows = [
        (
            secret.name,
            secret.environment or "all",
            str(secret.version),
            f"{time_text(secret.updated_at)} by {secret.updated_by}",
            "never" if secret.last_read_at is None else f"{time_text(secret.last_read_at)} by {secret.last_read_by}",
        )
        for secret in secrets
    ]
    console.print(table(f"Secrets of {chosen}", ("name", "environment", "version", "set", "last read"), rows))


@app.command
def delete(
    name: NameArgument, *, project: ProjectOption = None, environment: EnvironmentOption = None, options: Changing = CHANGING
) -> None:
    """Delete a secret. Agents that hold it have it until they fetch their session anew.

    Example:  cz secrets delete STRIPE_KEY --project shop --why "the account is closed"
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        gone = plane.delete_secret(chosen, name, environment=environment, actor=options.actor, why=options.why)
    if options.json:
        print_json(gone)
        return
    done(f"Secret {name} of project {chosen} is deleted. What it opened elsewhere is still open: change it there as well.")


@app.command(name="rotate-key")
def rotate_key(*, options: Changing = CHANGING) -> None:
    """Seal all secrets under a new key of the vault. The former key opens nothing any more.

    Where the key is in keys/vault.key, a new one is made and the former destroyed. Where CZ_VAULT_KEY or CZ_VAULT_KEY_FILE says it,
    put the new key before the former one first, run this, then take the former away.

    Example:  cz secrets rotate-key --why "an operator left"
    """
    with control_plane(options) as plane:
        rotation = plane.rotate_vault_key(actor=options.actor, why=options.why)
    if options.json:
        print_json(rotation)
        return
    done(
        f"The secrets of {rotation.rewrapped} projects are sealed under the vault's key {rotation.vault_key_id}. "
        + ("The former key is destroyed." if rotation.destroyed else "Nothing needs the former keys in your setting any more."),
        next_step="backups made before hold the former key and what it sealed: keep them as safe as secrets, or let them go",
    )


def _value(name: str) -> str:
    if sys.stdin.isatty():
        value = getpass.getpass(f"Value of {name}: ")
    else:
        read = sys.stdin.buffer.read(SECRET_BYTES_MAX + 2)
        try:
            value = read.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Rejected(f"secret `{name}`: standard input is not UTF-8 text; encode bytes as base64") from None
    if not value:
        raise Rejected(f"secret `{name}`: no value on standard input; cz secrets set {name} < FILE")
    return value
