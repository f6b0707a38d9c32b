"""The session of a client with its server: the tools of the project, and the secrets its key may read."""

from typing import Annotated

from msgspec import Meta, Struct, field

TOOLS_MAX = 200  # of a project
SECRETS_MAX = 200  # of a project

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
Url = Annotated[str, Meta(max_length=2000, pattern=r"^https?://.")]
Seconds = Annotated[float, Meta(gt=0, le=600)]


class HttpTool(Struct, frozen=True, kw_only=True, tag_field="kind", tag="http", forbid_unknown_fields=True):
    """A tool behind HTTP: a method is called by POST to `url`/`method`, its arguments as JSON, and answers JSON or text."""

    name: Name
    url: Url
    headers: dict[str, str] = field(default_factory=dict)  # `${secret:NAME}` in a value is the secret of that name
    timeout_s: Seconds = 30.0


class McpCommandTool(Struct, frozen=True, kw_only=True, tag_field="kind", tag="mcp-stdio", forbid_unknown_fields=True):
    """An MCP server started as a process of the agent's machine and spoken to over its standard input and output."""

    name: Name
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    env: dict[str, str] = field(default_factory=dict)  # `${secret:NAME}` as above
    timeout_s: Seconds = 30.0


class McpUrlTool(Struct, frozen=True, kw_only=True, tag_field="kind", tag="mcp-http", forbid_unknown_fields=True):
    """An MCP server spoken to over streamable HTTP."""

    name: Name
    url: Url
    headers: dict[str, str] = field(default_factory=dict)  # `${secret:NAME}` as above
    timeout_s: Seconds = 30.0


Tool = HttpTool | McpCommandTool | McpUrlTool


class Session(Struct, frozen=True, kw_only=True):
    """What `GET /v1/session` answers. Never kept on disk and never shown: `secrets` are in the clear."""

    project_id: str
    tools: tuple[Tool, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Session(project_id={self.project_id!r}, tools={len(self.tools)}, secrets={len(self.secrets)} hidden)"
