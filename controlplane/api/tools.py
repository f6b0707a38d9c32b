"""Routes of the tools and secrets of a project: what its agents' sessions bring. No route answers with a secret's value."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response
from msgspec import Struct
from pydantic import Field, SecretStr

from controlplane.api.asking import Call, Paged, ProjectId, Why, allowed
from controlplane.api.authentication import Caller
from controlplane.api.bodies import Body, EnvironmentId, ToolName, WhyText
from controlplane.api.problems import Refusal
from controlplane.api.schemas import answers, page_of
from controlplane.model import SECRET_BYTES_MAX, Secret
from controlplane.tools import parse_tool
from controlzero.session import HttpTool, Tool

SECRET_MARK = b"${secret:"  # what stands for a secret in a header or variable

routes = APIRouter()
SecretEnvironment = Annotated[str | None, Query(pattern="^[a-z0-9_-]{1,64}$", description="Default: the secret for all environments.")]


class ToolSet(Body):
    """A tool's declaration: `kind` (http, mcp-http or mcp-stdio) and what it needs."""

    tool: Annotated[dict[str, Any], Field(examples=[{"kind": "http", "url": "https://example.org/tools/refunds"}])]
    why: WhyText = None


class SecretSet(Body):
    """A secret's value; it is never answered with."""

    value: Annotated[SecretStr, Field(min_length=1, max_length=SECRET_BYTES_MAX)]
    environment: EnvironmentId = None
    why: WhyText = None


class ToolList(Struct, frozen=True, kw_only=True):
    """A page of tools."""

    items: tuple[Tool, ...]
    next_cursor: str | None


@routes.get("/v1/projects/{project_id}/tools", summary="The tools of a project", responses=answers(ToolList))
def tools(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the tools by name."""
    return call.answer(page.of(call.plane.list_tools(project_id), lambda tool: tool.name))


@routes.put("/v1/projects/{project_id}/tools/{name}", summary="Declare a tool", responses=answers(HttpTool))
def set_tool(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, name: ToolName, body: ToolSet) -> Response:
    """Declare it under its name, in the place of the one there is. `${secret:NAME}` in a header stands for that secret."""
    if body.tool.get("name", name) != name:
        raise Refusal("bad-parameter", "`tool.name` is not the name in the path.")
    try:
        tool = parse_tool(msgspec.json.encode({**body.tool, "name": name}))
    except msgspec.EncodeError:
        raise Refusal("bad-parameter", "`tool`: not what JSON can say.") from None

    if SECRET_MARK in msgspec.json.encode(tool) and "secrets:read" not in call.caller.key.scopes:
        raise Refusal("scope-missing", "A tool that is given secrets takes the scope `secrets:read` as well: it sends them where it says.")

    def changed() -> Tool:
        call.plane.set_tool(project_id, tool, actor=call.actor, why=body.why)
        return tool

    return call.change(changed)


@routes.delete("/v1/projects/{project_id}/tools/{name}", summary="Delete a tool", responses=answers(HttpTool))
def delete_tool(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, name: ToolName, why: Why = None) -> Response:
    """Agents have it until they fetch their session anew."""
    return call.change(lambda: call.plane.delete_tool(project_id, name, actor=call.actor, why=why))


@routes.get("/v1/projects/{project_id}/secrets", summary="The secrets of a project, without values", responses=answers(page_of(Secret)))
def secrets(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the secrets by name: versions, who set them, who read them last."""
    shown = [one for one in call.plane.list_secrets(project_id) if _reaches(call.caller, one.environment)]
    return call.answer(page.of(shown, lambda one: f"{one.name}/{one.environment or ''}"))


@routes.put("/v1/projects/{project_id}/secrets/{name}", summary="Set a secret", responses=answers(Secret))
def set_secret(call: Annotated[Call, allowed("secrets:write")], project_id: ProjectId, name: ToolName, body: SecretSet) -> Response:
    """Keep a value under the name, sealed. Only the session of a key with `secrets:read` brings it back."""
    _check_reach(call.caller, body.environment)
    value = body.value.get_secret_value()
    return call.change(lambda: call.plane.set_secret(project_id, name, value, environment=body.environment, actor=call.actor, why=body.why))


@routes.delete("/v1/projects/{project_id}/secrets/{name}", summary="Delete a secret", responses=answers(Secret))
def delete_secret(
    call: Annotated[Call, allowed("secrets:write")],
    project_id: ProjectId,
    name: ToolName,
    environment: SecretEnvironment = None,
    why: Why = None,
) -> Response:
    """Agents have it until they fetch their session anew."""
    _check_reach(call.caller, environment)
    return call.change(lambda: call.plane.delete_secret(project_id, name, environment=environment, actor=call.actor, why=why))


def _reaches(caller: Caller, environment: str | None) -> bool:
    return caller.key.environment in (None, environment)


def _check_reach(caller: Caller, environment: str | None) -> None:
    if not _reaches(caller, environment):
        raise Refusal("scope-missing", f"The key {caller.key.prefix}… is for the environment `{caller.key.environment}` alone.")
