"""Routes of policies: in force, in versions, compared, checked, tried out, and judged in shadow."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from msgspec import Struct
from pydantic import Field

from controlplane.api.asking import Call, Paged, Place, ProjectId, Why, allowed
from controlplane.api.bodies import Body, Reason, WhyText, why_of
from controlplane.api.schemas import answers, page_of
from controlplane.model import POLICIES_MAX, Candidate, Change, PolicyVersion
from controlplane.signing import PolicySource, parse_policies
from controlplane.trials import CALLS_MAX, Trial, Verdict, tried
from controlplane.wording import policy_difference
from controlzero.errors import Problem
from controlzero.policy import lint
from controlzero.policy.model import RuleMode

routes = APIRouter()
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The candidate's digest.")]
RuleId = Annotated[str, Path(min_length=1, max_length=300, description="Its `id`, or `<policy>#<place>`, percent-encoded.")]
Documents = Annotated[
    list[dict[str, Any] | str],
    Field(
        min_length=1,
        max_length=POLICIES_MAX,
        description="Policies in their order: each as an object, or as a text in JSON or YAML.",
        examples=[[{"name": "support", "rules": [{"effect": "allow", "action": "llm:*"}]}]],
    ),
]


class Policies(Body):
    """Policies to look at."""

    policies: Documents


class PoliciesSet(Policies):
    """Policies to put in force, or beside those that are."""

    why: WhyText = None


class AskedCall(Body):
    """A call that nobody made."""

    action: Annotated[str, Field(max_length=1_000, examples=["llm:generate"])]
    resource: Annotated[str | None, Field(max_length=2_000)] = None
    context: dict[str, Any] | None = None
    args: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None


class DryRun(Body):
    """Calls to judge, by the policies given or those in force; nothing is changed and nothing recorded."""

    policies: Documents | None = None
    calls: Annotated[list[AskedCall], Field(min_length=1, max_length=CALLS_MAX)]


class RuleModeSet(Body):
    """The mode to give a rule; null: it follows its project's."""

    mode: RuleMode | None
    why: WhyText = None


class Checked(Struct, frozen=True, kw_only=True):
    """What is to be said of policies before they are put in force: warnings do not keep them out."""

    rules: int
    warnings: tuple[Problem, ...]


class Judged(Struct, frozen=True, kw_only=True):
    """What the policies say of each call, in the order asked."""

    judged: tuple[Verdict, ...]


class Difference(Struct, frozen=True, kw_only=True):
    """A unified difference of two versions, as policies are written; no lines where they say the same."""

    lines: tuple[str, ...]


@routes.get("/v1/projects/{project_id}/policy", summary="The policies in force", responses=answers(PolicyVersion))
def policy(call: Annotated[Call, allowed("control:read")], project_id: ProjectId) -> Response:
    """Answer with the version in force; 404 before the first."""
    return call.answer(call.plane.policy(project_id))


@routes.put("/v1/projects/{project_id}/policy", summary="Put policies in force", responses=answers(Change))
def apply(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: PoliciesSet) -> Response:
    """Agents follow within seconds. `changed` is false where they are in force already."""
    return call.change(lambda: call.plane.apply_policy(project_id, _sources(body), actor=call.actor, why=body.why))


@routes.get("/v1/projects/{project_id}/policy/versions", summary="The versions of the policy", responses=answers(page_of(PolicyVersion)))
def versions(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the versions, the newest first; without the policies themselves, which `…/versions/{version}` has."""
    found = call.plane.policy_versions(project_id, limit=page.limit + 1, before=page.after(Place), with_policies=False)
    return call.answer(page.made(found, lambda one: one.version))


@routes.get("/v1/projects/{project_id}/policy/versions/{version}", summary="A version of the policy", responses=answers(PolicyVersion))
def version(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, version: Version) -> Response:
    """Answer with that version."""
    return call.answer(call.plane.policy(project_id, version))


@routes.get("/v1/projects/{project_id}/policy/difference", summary="The difference of two versions", responses=answers(Difference))
def difference(
    call: Annotated[Call, allowed("control:read")],
    project_id: ProjectId,
    before: Annotated[int, Query(ge=1, le=2**31 - 1)],
    after: Annotated[int, Query(ge=1, le=2**31 - 1)],
) -> Response:
    """Answer with the lines that differ."""
    old, new = call.plane.policy(project_id, before).policies, call.plane.policy(project_id, after).policies
    lines = policy_difference(old, new, before_name=f"version {before}", after_name=f"version {after}")
    return call.answer(Difference(lines=tuple(lines)))


@routes.post("/v1/policies/check", summary="Check policies", responses=answers(Checked))
def check(call: Annotated[Call, allowed("control:read")], body: Policies) -> Response:
    """Answer 422 with every problem of policies that cannot be taken, else with what they can hardly mean."""
    parsed = parse_policies(_sources(body))
    return call.answer(Checked(rules=sum(len(one.rules) for one in parsed), warnings=tuple(lint(parsed))))


@routes.post("/v1/projects/{project_id}/policy/dry-run", summary="Judge calls that nobody made", responses=answers(Judged))
def dry_run(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, body: DryRun) -> Response:
    """Answer with what the policies given, or those in force, say of each call; nothing is changed and nothing recorded."""
    project = call.plane.project(project_id)
    parsed = parse_policies(_sources(body) if body.policies is not None else list(call.plane.policy(project_id).policies))
    trials = [Trial(**asked.model_dump()) for asked in body.calls]
    return call.answer(Judged(judged=tried(parsed, trials, mode=project.mode)))


@routes.put("/v1/projects/{project_id}/policy/rules/{rule_id:path}/mode", summary="Set the mode of a rule", responses=answers(Change))
def set_rule_mode(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, rule_id: RuleId, body: RuleModeSet) -> Response:
    """`log-only`: what the rule denies goes ahead and is recorded, also while the project enforces."""
    return call.change(lambda: call.plane.set_rule_mode(project_id, rule_id, body.mode, actor=call.actor, why=body.why))


@routes.get("/v1/projects/{project_id}/candidates", summary="The policies judged in shadow", responses=answers(page_of(Candidate)))
def candidates(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List the open candidates, the oldest first."""
    return call.answer(page.of(call.plane.list_candidates(project_id), lambda one: one.digest))


@routes.post("/v1/projects/{project_id}/candidates", summary="Judge policies in shadow", status_code=201, responses=answers(Candidate, 201))
def add_candidate(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: PoliciesSet) -> Response:
    """Workers judge each decision by them as well; agents are told nothing of what they say."""
    return call.change(lambda: call.plane.add_candidate(project_id, _sources(body), actor=call.actor, why=body.why), status=201)


@routes.delete("/v1/projects/{project_id}/candidates/{digest}", summary="Remove a candidate", responses=answers(Candidate))
def remove_candidate(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, digest: Digest, why: Why = None) -> Response:
    """Stop judging by it."""
    return call.change(lambda: call.plane.remove_candidate(project_id, digest, actor=call.actor, why=why))


@routes.post("/v1/projects/{project_id}/candidates/{digest}/promote", summary="Put a candidate in force", responses=answers(Change))
def promote(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, digest: Digest, body: Reason | None = None) -> Response:
    """Put its policies in force and close it."""
    return call.change(lambda: call.plane.promote_candidate(project_id, digest, actor=call.actor, why=why_of(body)))


def _sources(body: Policies | DryRun) -> list[PolicySource]:
    return list(body.policies or ())
