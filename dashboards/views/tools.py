"""Tools: what agents of the project call by name, behind HTTP or MCP."""

import shlex
from typing import Any, Final

import msgspec
import streamlit as st

from controlplane.tools import parse_tool
from controlzero.errors import Rejected
from controlzero.session import McpCommandTool, Tool
from dashboards import marks, words
from dashboards.asking import ask, why_asked
from dashboards.desk import View
from dashboards.frame import Page, edge, show
from dashboards.item import item

KINDS: Final = {
    "http": "HTTP: POST to the address and the method's name",
    "mcp-http": "MCP over HTTP",
    "mcp-stdio": "MCP server started beside the agent",
}
TIMEOUT_S: Final = 30.0


def draw(view: View) -> None:
    """Draw the tools, each with a way to delete it, then the form that declares one."""
    tools = view.plane.list_tools(view.project.project_id)
    told = "<b>{}</b> that agents of project <b>{}</b> call by name, each call judged by policy first."
    show(marks.headline(marks.said(told, words.count(len(tools), "tool"), view.project.project_id)))
    for tool in tools:
        _tool(view, tool)
    if not tools:
        text = marks.said('Declare one below. An agent calls it with <code>client.call_tool("database", "query", {{…}})</code>.')
        show(marks.empty("No tool yet", text))
    show(marks.heading("Declare a tool", note="one of the same name is replaced; agents that start get it"))
    _form(view)


def _tool(view: View, tool: Tool) -> None:
    what = marks.said("<b>{}</b> {} {}", tool.name, marks.pill(kind_of(tool), "none"), marks.mono(_place(tool)))
    with item(what, _about(tool), key=f"tool-{tool.name}"):
        if st.button("Delete …", key=f"tool-delete-{tool.name}"):
            ask(
                view,
                "Delete the tool?",
                key=f"tool-end-{tool.name}",
                follows=lambda _: marks.said(
                    "Agents that start from now on do not know <b>{}</b>; those that run know it until they end.", tool.name
                ),
                action="Delete it",
                change=lambda now, why: now.plane.delete_tool(now.project.project_id, tool.name, actor=now.actor, why=why),
            )


def kind_of(tool: Tool) -> str:
    """Return the kind a tool is declared by."""
    return str(tool.__struct_config__.tag)


def _place(tool: Tool) -> str:
    return shlex.join(tool.command) if isinstance(tool, McpCommandTool) else tool.url


def _about(tool: Tool) -> str:
    """Name the headers or variables a tool is given; their values may be secrets somebody wrote down here."""
    given = tool.env if isinstance(tool, McpCommandTool) else tool.headers
    what = "variables" if isinstance(tool, McpCommandTool) else "headers"
    names = f" · {what} {', '.join(sorted(given))}" if given else ""
    return f"given up after {tool.timeout_s:g} s{names}"


def _form(view: View) -> None:
    kind = st.radio("Kind", list(KINDS), format_func=KINDS.__getitem__, key="tool-kind")
    is_command = kind == "mcp-stdio"
    with st.form("tool", border=True):
        name = st.text_input(
            "Name", placeholder="database", key="tool-name", help="The server's name for MCP; each of its tools is a method."
        )
        place = st.text_input(
            "Command" if is_command else "Address",
            placeholder="npx -y some-mcp-server /data" if is_command else "https://tools.example.org/database",
            key=f"tool-place-{kind}",
        )
        given = st.text_input(
            "Variables, as JSON" if is_command else "Headers, as JSON",
            placeholder='{"TOKEN": "${secret:NAME}"}' if is_command else '{"Authorization": "Bearer ${secret:NAME}"}',
            key=f"tool-given-{kind}",
        )
        timeout_s = st.number_input("Give up after (s)", 0.1, 600.0, value=TIMEOUT_S, format="%g", key="tool-timeout")
        why = why_asked(view.actor, key="tool-why")
        declares = st.form_submit_button("Declare it", type="primary", key="tool-set")
    if declares:
        with edge():
            tool = tool_of(kind, name.strip(), place.strip(), given, timeout_s)
            view.plane.set_tool(view.project.project_id, tool, actor=view.actor, why=why)
            st.rerun()


def tool_of(kind: str, name: str, place: str, given: str, timeout_s: float) -> Tool:
    """Return the tool that a filled form declares. Raises `Rejected`."""
    declared: dict[str, Any] = {"kind": kind, "name": name, "timeout_s": timeout_s}
    try:
        facts = msgspec.json.decode(given, type=dict[str, str]) if given.strip() else {}
        declared |= {"command": shlex.split(place), "env": facts} if kind == "mcp-stdio" else {"url": place, "headers": facts}
    except msgspec.DecodeError as error:
        raise Rejected(f'expected a JSON object of texts, such as {{"Authorization": "Bearer ${{secret:NAME}}"}}: {error}') from error
    except ValueError as error:
        raise Rejected(f"command: {error}; quote it as in a shell") from error
    return parse_tool(msgspec.json.encode(declared))


PAGE = Page(
    name="tools",
    title="Tools",
    icon=":material/build:",
    section="Settings",
    show=draw,
    summary="What agents call by name, behind HTTP or MCP: declared once for all of a project.",
    toolbar="project",
)
