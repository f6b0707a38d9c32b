"""`cz tools`: the tools a project's agents call by name, declared once for all of them."""

import shlex
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter

from controlplane.tools import parse_tool
from controlzero.errors import Rejected
from controlzero.session import HttpTool, McpCommandTool, McpUrlTool, Tool
from cz.display import console, done, empty, print_json, table, unchanged
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane, read_text

app = cyclopts.App(name="tools", help="Tools of a project: what its agents call by name, wherever they run.")


@app.command(name="set")
def set_(
    name: Annotated[str, Parameter(help="What agents call it")],
    *,
    url: Annotated[str | None, Parameter(help="Where it answers, over HTTP")] = None,
    mcp: Annotated[bool, Parameter(negative="", help="It is an MCP server: at --url, or started by --command")] = False,
    command: Annotated[str | None, Parameter(help="What starts it on the agent's machine, quoted as for a shell; no shell runs it")] = None,
    header: Annotated[
        list[str] | None, Parameter(negative="", help="`Name: value`; ${secret:NAME} in it is that secret; may be repeated")
    ] = None,
    env: Annotated[list[str] | None, Parameter(negative="", help="`NAME=value` for --command, secrets as above; may be repeated")] = None,
    timeout_s: Annotated[float, Parameter(help="How long a call may take")] = 30.0,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"], help="Its declaration in JSON instead; - is standard input")] = None,
    project: ProjectOption = None,
    options: Changing = CHANGING,
) -> None:
    """Declare a tool under its name, in the place of the one there is.

    Example:  cz tools set refunds --url https://tools.example.org/refunds --header 'Authorization: Bearer ${secret:REFUNDS_KEY}'

    Example:  cz tools set files --mcp --command "npx -y @modelcontextprotocol/server-filesystem /srv/files"
    """
    if file is not None:
        tool = parse_tool(msgspec.json.encode({**_declaration(file), "name": name}))
    else:
        tool = _declared(name, url=url, mcp=mcp, command=command, headers=header or (), env=env or (), timeout_s=timeout_s)
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        changed = plane.set_tool(chosen, tool, actor=options.actor, why=options.why)
    if options.json:
        print_json({"changed": changed, "tool": tool})
    elif changed:
        done(f"Tool {name} of project {chosen} is set. Agents have it from their next session on.")
    else:
        unchanged(f"Tool {name} of project {chosen} is declared so already.")


@app.command(name="list")
def list_(*, project: ProjectOption = None, options: Reading = READING) -> None:
    """List the tools of a project.

    Example:  cz tools list --project shop --json
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        tools = plane.list_tools(chosen)
    if options.json:
        print_json(tools)
        return
    if not tools:
        empty(f"Project {chosen} has no tool.", f"cz tools set NAME --url URL --project {chosen}")
        return
    rows = [(tool.name, str(tool.__struct_config__.tag), _place(tool), f"{tool.timeout_s:g} s") for tool in tools]
    console.print(table(f"Tools of {chosen}", ("name", "kind", "where", "time"), rows))


@app.command
def delete(
    name: Annotated[str, Parameter(help="What agents call it")], *, project: ProjectOption = None, options: Changing = CHANGING
) -> None:
    """Delete a tool. Agents that hold it have it until they fetch their session anew.

    Example:  cz tools delete refunds --project shop
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        tool = plane.delete_tool(chosen, name, actor=options.actor, why=options.why)
    if options.json:
        print_json(tool)
        return
    done(f"Tool {name} of project {chosen} is deleted.")


def _declaration(file: Path) -> dict[str, object]:
    try:
        return msgspec.json.decode(read_text(file), type=dict[str, object])
    except msgspec.DecodeError as error:
        raise Rejected(f"{file}: {error}; expected a JSON object such as {{'kind': 'http', 'url': 'https://…'}}") from error


def _declared(
    name: str,
    *,
    url: str | None,
    mcp: bool,
    command: str | None,
    headers: list[str] | tuple[()],
    env: list[str] | tuple[()],
    timeout_s: float,
) -> Tool:
    if (url is None) == (command is None):
        raise Rejected("cz tools set: say one of --url URL (HTTP, with --mcp an MCP server), --command TEXT (an MCP server), --file FILE")
    if command is not None:
        return McpCommandTool(name=name, command=_words(command), env=_pairs("--env", env, "="), timeout_s=timeout_s)
    assert url is not None  # noqa: S101 - checked above
    kind = McpUrlTool if mcp else HttpTool
    return kind(name=name, url=url, headers=_pairs("--header", headers, ":"), timeout_s=timeout_s)


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise Rejected(f"--command: {error}; expected words quoted as for a shell") from None


def _pairs(option: str, given: list[str] | tuple[()], between: str) -> dict[str, str]:
    pairs = [text.partition(between) for text in given]
    if wrong := [name for name, found, _ in pairs if not (name.strip() and found)]:
        raise Rejected(f"{option}: `{wrong[0]}`, expected a name, `{between}` and a value")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _place(tool: Tool) -> str:
    return " ".join(tool.command) if isinstance(tool, McpCommandTool) else tool.url
