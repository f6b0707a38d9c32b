"""Routes of organisations, members, projects, environments, and the control log."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import Field

from controlplane.api.asking import Call, Paged, Place, ProjectId, Why, allowed
from controlplane.api.bodies import Body, Reason, WhyText, why_of
from controlplane.api.problems import Refusal
from controlplane.api.schemas import answers, page_of
from controlplane.model import Change, Environment, LogEntry, Member, Organisation, Project, ProjectSettings, Role
from controlzero.records import Mode

routes = APIRouter()
SETTINGS: dict[str, Any] = {
    "properties": msgspec.json.schema_components([ProjectSettings])[1]["ProjectSettings"]["properties"],
    "additionalProperties": False,
}
SETTINGS_NAMED = ", ".join(
    f"`{name}`" + (f" ({' or '.join(field['enum'])})" if "enum" in field else "") for name, field in SETTINGS["properties"].items()
)
EnvironmentName = Annotated[str, Path(pattern="^[a-z0-9_-]{1,64}$")]
MemberName = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]+$")]


class NewProject(Body):
    """A project to make."""

    project_id: Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$", examples=["support-bot"])]
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    why: WhyText = None


class Settings(Body):
    """Settings to change; what is left out stays."""

    settings: Annotated[
        dict[str, Any],
        Field(
            description=f"Some of {SETTINGS_NAMED}.",
            json_schema_extra=SETTINGS,
            examples=[{"retention_days": {"decision": 90}, "webhook_url": None}],
        ),
    ]
    why: WhyText = None


class ModeSet(Body):
    """The mode to set."""

    mode: Mode
    why: WhyText = None


class RoleSet(Body):
    """The role to give."""

    role: Role
    why: WhyText = None


@routes.get("/v1/organisation", summary="The organisation of the key", responses=answers(Organisation))
def organisation(call: Annotated[Call, allowed("control:read")]) -> Response:
    """Answer with the organisation whose projects the key grants."""
    mine = _organisation_id(call)
    return call.answer(next(one for one in call.plane.list_organisations() if one.organisation_id == mine))


@routes.get("/v1/members", summary="The members of the organisation", responses=answers(page_of(Member)))
def members(call: Annotated[Call, allowed("control:read")], page: Paged) -> Response:
    """List the members by name."""
    return call.answer(page.of(call.plane.list_members(_organisation_id(call)), lambda member: member.name))


@routes.put("/v1/members/{name}", summary="Add a member, or give one another role", responses=answers(Member))
def set_member(call: Annotated[Call, allowed("organisation:write")], name: MemberName, body: RoleSet) -> Response:
    """The keys of the member may do no more than the role allows, from now on."""
    mine = _organisation_id(call)
    return call.change(lambda: call.plane.set_member(name, body.role, organisation_id=mine, actor=call.actor, why=body.why))


@routes.delete("/v1/members/{name}", summary="Remove a member and revoke the keys of that member", responses=answers(Member))
def remove_member(call: Annotated[Call, allowed("organisation:write")], name: MemberName, why: Why = None) -> Response:
    """The keys are refused from now on, for ever."""
    mine = _organisation_id(call)
    return call.change(lambda: call.plane.remove_member(name, organisation_id=mine, actor=call.actor, why=why))


@routes.get("/v1/projects", summary="The projects the key grants", responses=answers(page_of(Project)))
def projects(call: Annotated[Call, allowed("control:read")], page: Paged) -> Response:
    """List the projects by id, archived ones too."""
    granted = [project for project in call.plane.list_projects(archived=True) if project.project_id in call.caller.key.projects]
    return call.answer(page.of(granted, lambda project: project.project_id))


@routes.post("/v1/projects", summary="Make a project", status_code=201, responses=answers(Project, 201))
def create_project(call: Annotated[Call, allowed("organisation:write")], body: NewProject) -> Response:
    """Make it log-only and without a policy, in the key's organisation; the key grants it as well."""
    mine = _organisation_id(call)

    def made() -> Project:
        with call.plane.together():
            project = call.plane.create_project(body.project_id, name=body.name, organisation_id=mine, actor=call.actor, why=body.why)
            call.plane.grant(call.caller.key.key_id, project.project_id, actor=call.actor, why=body.why)
        return project

    return call.change(made, status=201)


@routes.get("/v1/projects/{project_id}", summary="A project", responses=answers(Project))
def project(call: Annotated[Call, allowed("control:read")], project_id: ProjectId) -> Response:
    """Answer with the project as it is now."""
    return call.answer(call.plane.project(project_id))


@routes.patch("/v1/projects/{project_id}", summary="Change settings of a project", responses=answers(Project))
def set_project(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: Settings) -> Response:
    """Change what is named; the rest stays.

    Of a webhook's URL only where it goes is shown, `https://example.org/…`; sent back so, it stays as it is.
    """
    try:
        wanted = msgspec.convert(body.settings, ProjectSettings)
    except msgspec.ValidationError as error:
        raise Refusal("bad-parameter", f"`settings`: {error}; expected some of {SETTINGS_NAMED}.") from None

    def changed() -> Project:
        call.plane.set_project(project_id, wanted, actor=call.actor, why=body.why)
        return call.plane.project(project_id)

    return call.change(changed)


@routes.put("/v1/projects/{project_id}/mode", summary="Set the mode of a project", responses=answers(Change))
def set_mode(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: ModeSet) -> Response:
    """Agents follow within seconds. `enforce`: denials stop actions; `log-only`: they are recorded; `off`: nothing is evaluated."""
    return call.change(lambda: call.plane.set_mode(project_id, body.mode, actor=call.actor, why=body.why))


@routes.post("/v1/projects/{project_id}/archive", summary="Put a project into the archive", responses=answers(Project))
def archive(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: Reason | None = None) -> Response:
    """It takes no records and hands out no bundle; what it holds stays."""
    return _archived(call, project_id, body, is_archived=True)


@routes.post("/v1/projects/{project_id}/restore", summary="Take a project out of the archive", responses=answers(Project))
def restore(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: Reason | None = None) -> Response:
    """Its keys and its bundle are good again."""
    return _archived(call, project_id, body, is_archived=False)


@routes.get("/v1/projects/{project_id}/environments", summary="The environments of a project", responses=answers(page_of(Environment)))
def environments(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the environments by name."""
    return call.answer(page.of(call.plane.list_environments(project_id), lambda one: one.name))


@routes.put("/v1/projects/{project_id}/environments/{name}", summary="Make an environment", responses=answers(Environment))
def add_environment(
    call: Annotated[Call, allowed("control:write")], project_id: ProjectId, name: EnvironmentName, body: Reason | None = None
) -> Response:
    """Keys may be for it from now on, and secrets."""
    return call.change(lambda: call.plane.add_environment(project_id, name, actor=call.actor, why=why_of(body)))


@routes.delete("/v1/projects/{project_id}/environments/{name}", summary="Remove an environment", responses=answers(Environment))
def remove_environment(
    call: Annotated[Call, allowed("control:write")], project_id: ProjectId, name: EnvironmentName, why: Why = None
) -> Response:
    """Remove one that no secret and no key in use is for."""
    return call.change(lambda: call.plane.remove_environment(project_id, name, actor=call.actor, why=why))


@routes.get("/v1/projects/{project_id}/log", summary="The control log of a project", responses=answers(page_of(LogEntry)))
def control_log(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List who did what to what, when, from what to what, and why; the newest first."""
    entries = call.plane.control_log(project_id, limit=page.limit + 1, before=page.after(Place))
    return call.answer(page.made(entries, lambda entry: entry.entry_id))


def _archived(call: Call, project_id: str, body: Reason | None, *, is_archived: bool) -> Response:
    do = call.plane.archive_project if is_archived else call.plane.restore_project

    def changed() -> Project:
        do(project_id, actor=call.actor, why=why_of(body))
        return call.plane.project(project_id)

    return call.change(changed)


def _organisation_id(call: Call) -> str:
    return call.plane.project(call.caller.key.projects[0]).organisation_id
