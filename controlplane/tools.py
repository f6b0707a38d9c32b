"""The tools of a project: what its agents call by name, declared once for all of them."""

import re
from urllib.parse import SplitResult, urlsplit

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.changes import InHand, locked_project, log_change
from controlplane.model import NotFound
from controlplane.tables import ToolRow
from controlzero.errors import Rejected
from controlzero.session import TOOLS_MAX, HttpTool, McpCommandTool, McpUrlTool, Tool

DECLARATION_BYTES_MAX = 16_384
EXPECTED = """`kind` (http, mcp-http or mcp-stdio), `name`, and `url` (http:// or https://) or `command`, such as \
{"kind": "http", "name": "refunds", "url": "https://tools.example.org/refunds"}"""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")  # RFC 9110's token


def parse_tool(text: str | bytes) -> Tool:
    """Return the tool that a JSON text declares. Raises `Rejected` with a path."""
    try:
        tool: Tool = msgspec.json.decode(text, type=Tool)
    except msgspec.DecodeError as error:
        raise Rejected(f"tool: {error}; expected {EXPECTED}") from error
    return tool


def set_tool(change: InHand, project_id: str, tool: Tool) -> bool:
    """Declare a tool under its name, in the place of the one there is; say whether that changed anything."""
    locked_project(change.session, project_id)
    declaration = _checked(tool)
    row = change.session.get(ToolRow, (project_id, tool.name))
    if row is not None and row.declaration == declaration:
        return False
    before = None if row is None else _shown(parse_tool(row.declaration))
    if row is None:
        there = change.session.scalar(select(func.count()).select_from(ToolRow).where(ToolRow.project_id == project_id)) or 0
        if there >= TOOLS_MAX:
            raise Rejected(f"project `{project_id}`: {there} tools, expected at most {TOOLS_MAX}; delete those that nobody calls")
        row = ToolRow(project_id=project_id, name=tool.name)
        change.session.add(row)
    row.declaration, row.updated_at, row.updated_by = declaration, change.at, change.actor
    change.session.flush()
    log_change(change, "tool.set", project_id=project_id, subject=tool.name, before=before, after=_shown(tool))
    return True


def delete_tool(change: InHand, project_id: str, name: str) -> Tool:
    """Delete a tool. Raises `NotFound`."""
    locked_project(change.session, project_id)
    row = change.session.get(ToolRow, (project_id, name))
    if row is None:
        there = ", ".join(tool.name for tool in list_tools(change.session, project_id)) or "none"
        raise NotFound(f"tool `{name}`: project `{project_id}` has none such, there are: {there}")
    tool = parse_tool(row.declaration)
    change.session.delete(row)
    change.session.flush()
    log_change(change, "tool.deleted", project_id=project_id, subject=name, before=_shown(tool))
    return tool


def list_tools(session: Session, project_id: str) -> list[Tool]:
    """Return the project's tools by name."""
    query = select(ToolRow.declaration).where(ToolRow.project_id == project_id).order_by(ToolRow.name)
    return [parse_tool(declaration) for declaration in session.scalars(query)]


def _checked(tool: Tool) -> str:
    """Return the declaration as it is kept. A tool made in code is checked as one that came as text."""
    encoded = msgspec.json.encode(tool)
    if len(encoded) > DECLARATION_BYTES_MAX:
        raise Rejected(f"tool `{tool.name}`: {len(encoded):,} bytes, expected at most {DECLARATION_BYTES_MAX:,}")
    checked = parse_tool(encoded)
    if not isinstance(checked, McpCommandTool):
        _check_headers(checked)
        parts = _parts(checked.name, checked.url)
        if parts.username or parts.password:
            raise Rejected(f"tool `{checked.name}`: its url carries a user name or a password; send them in a header as `${{secret:NAME}}`")
    return encoded.decode()


def _check_headers(tool: HttpTool | McpUrlTool) -> None:
    """Raise `Rejected` for a header that would be two on the wire, or none."""
    for name, value in tool.headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise Rejected(f"tool `{tool.name}`: header {name!r}: expected a name such as `Authorization`")
        if not value.isprintable():
            raise Rejected(f"tool `{tool.name}`: header `{name}`: its value holds a line break or a control character; leave it out")


def _parts(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Rejected(f"tool `{name}`: url: {error}, expected one such as https://example.org/tools") from error
    if not url.isprintable() or " " in url or not parts.hostname:
        raise Rejected(f"tool `{name}`: url {url!r}: expected one such as https://example.org/tools, without blanks or control characters")
    return parts


def _shown(tool: Tool) -> str:
    """Return a tool as the control log shows it: where it goes, and no header or variable of it."""
    if isinstance(tool, McpCommandTool):
        return f"mcp-stdio {tool.command[0]}"
    parts = urlsplit(tool.url)
    return f"{tool.__struct_config__.tag} {parts.scheme}://{parts.netloc}{parts.path}"
