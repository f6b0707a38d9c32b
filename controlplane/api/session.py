"""`GET /v1/session`: the tools and secrets that an agent's client works with; `controlzero.session` is the contract."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from controlplane.api.asking import Call, allowed
from controlplane.api.authentication import project_of
from controlplane.api.problems import Refusal
from controlplane.api.schemas import answers
from controlzero.session import Session

routes = APIRouter()


@routes.get("/v1/session", summary="The tools of a project and, to a key with `secrets:read`, its secrets", responses=answers(Session))
def session(
    call: Annotated[Call, allowed("session:read")],
    *,
    project_id: Annotated[str | None, Query(max_length=64, description="Default: the key's only project.")] = None,
    secrets: Annotated[bool, Query(description="`0`: without secrets; nothing is noted as read then.")] = True,
) -> Response:
    """Answer with a `Session` that nobody keeps. Without the scope `secrets:read` its secrets are empty."""
    project_id = project_of(call.caller, project_id)
    if call.plane.project(project_id).archived_at is not None:
        raise Refusal("project-archived", f"Project `{project_id}` is archived: it hands out no session.")
    may_read = "secrets:read" in call.caller.key.scopes
    found = call.plane.session(project_id, call.caller.key, with_secrets=secrets and may_read)
    given = "given" if secrets and may_read else "not-asked" if may_read else "scope-missing"
    headers = {"Cache-Control": "no-store", "CZ-Secrets": given}
    return Response(msgspec.json.encode(found), media_type="application/json", headers=headers)
