"""Routes of API keys: nobody gives a key more than they have themselves, or takes over one that has more."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response
from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field

from controlplane.api.asking import Call, Paged, ProjectId, Why, allowed
from controlplane.api.authentication import check_project
from controlplane.api.bodies import Body, EnvironmentId, WhyText
from controlplane.api.problems import Refusal
from controlplane.api.schemas import answers, page_of
from controlplane.model import DEFAULT_SCOPES, GRACE_S_MAX, GRANTS_MAX, KEY_NAME_CHARS_MAX, Key
from controlplane.service import GRACE_S
from topics.control import Scope

routes = APIRouter()
KeyId = Annotated[str, Path(pattern="^key_[0-9a-f]{12}$", description="The key's id, as the list of keys has it.")]


class NewKey(Body):
    """A key to make. It grants the project of the path, and others that are named."""

    name: Annotated[str | None, Field(min_length=1, max_length=KEY_NAME_CHARS_MAX)] = None
    projects: Annotated[tuple[str, ...], Field(max_length=GRANTS_MAX, description="Further projects.")] = ()
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = DEFAULT_SCOPES
    environment: EnvironmentId = None
    member: Annotated[str | None, Field(max_length=200, description="Whose it is. Default: whose the asking key is.")] = None
    live: bool = True
    why: WhyText = None


class Rotation(Body):
    """For how long the key goes on being good beside the one in its place."""

    grace_s: Annotated[int, Field(ge=0, le=GRACE_S_MAX, description="Seconds. Default: a day.")] = GRACE_S
    why: WhyText = None


class MadeKey(Struct, frozen=True, kw_only=True):
    """A key that was made; its secret is shown this once."""

    secret: str
    key: Key


@routes.get("/v1/projects/{project_id}/keys", summary="The keys of a project", responses=answers(page_of(Key)))
def keys(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the keys that grant the project, the newest first; of each, the projects that the asking key grants too."""
    return call.answer(page.of([_shown(call, key) for key in call.plane.list_keys(project_id)], lambda key: key.key_id))


@routes.post("/v1/projects/{project_id}/keys", summary="Make a key", status_code=201, responses=answers(MadeKey, 201))
def create_key(call: Annotated[Call, allowed("keys:write")], project_id: ProjectId, body: NewKey) -> Response:
    """Its secret is in this answer alone. It can have no scope, project or environment beyond those of the asking key."""
    projects = (project_id, *body.projects)
    for each in projects:
        check_project(call.caller, each)
    environment = body.environment or call.caller.key.environment
    member = body.member or call.caller.key.member
    _check_within(call, scopes=body.scopes, environment=environment, member=member)

    def made() -> MadeKey:
        secret, key = call.plane.create_key(
            projects,
            actor=call.actor,
            live=body.live,
            name=body.name,
            scopes=body.scopes,
            environment=environment,
            member=member,
            why=body.why,
        )
        return MadeKey(secret=secret, key=key)

    return call.change(made, status=201)


@routes.post("/v1/projects/{project_id}/keys/{key_id}/rotate", summary="Rotate a key", status_code=201, responses=answers(MadeKey, 201))
def rotate_key(
    call: Annotated[Call, allowed("keys:write")], project_id: ProjectId, key_id: KeyId, body: Rotation | None = None
) -> Response:
    """Make a key in its place, whose secret is in this answer alone; the old one is good until `expires_at`."""
    asked = body or Rotation()
    old = _key(call, project_id, key_id)
    _check_within(call, scopes=old.scopes, environment=old.environment, member=old.member)

    def made() -> MadeKey:
        secret, key = call.plane.rotate_key(key_id, grace_s=asked.grace_s, actor=call.actor, why=asked.why)
        return MadeKey(secret=secret, key=key)

    return call.change(made, status=201)


@routes.delete("/v1/projects/{project_id}/keys/{key_id}", summary="Revoke a key", responses=answers(Key))
def revoke_key(call: Annotated[Call, allowed("keys:write")], project_id: ProjectId, key_id: KeyId, why: Why = None) -> Response:
    """It is refused from now on, for ever."""
    _key(call, project_id, key_id)
    return call.change(lambda: call.plane.revoke_key(key_id, actor=call.actor, why=why))


def _key(call: Call, project_id: str, key_id: str) -> Key:
    """Return the key, if it is one of the project and of no project beyond the asking key's. Raises `Refusal` (403, 404)."""
    found = next((key for key in call.plane.list_keys(project_id) if key.key_id == key_id), None)
    if found is None:
        raise Refusal("not-found", f"The project has no key `{key_id}`.")
    if not set(found.projects) <= set(call.caller.key.projects):
        raise Refusal("project-not-granted", f"The key `{key_id}` grants projects that yours does not.")
    return found


def _check_within(call: Call, *, scopes: tuple[str, ...], environment: str | None, member: str | None) -> None:
    own = call.caller.key
    beyond = [scope for scope in scopes if scope not in own.scopes]
    if beyond:
        raise Refusal("scope-missing", f"The key {own.prefix}… has not the scope `{beyond[0]}`, so it can give it to no other.")
    if own.environment not in (None, environment):
        raise Refusal("scope-missing", f"The key {own.prefix}… is for the environment `{own.environment}` alone.")
    if member != own.member and "organisation:write" not in own.scopes:
        raise Refusal(
            "scope-missing", f"The key {own.prefix}… has not the scope `organisation:write`, so it acts for its own member alone."
        )


def _shown(call: Call, key: Key) -> Key:
    return replace(key, projects=tuple(project for project in key.projects if project in call.caller.key.projects))
