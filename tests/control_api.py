"""Organisations that know nothing of each other, with one of every kind of thing: what tests of the control plane's HTTP drive."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from controlplane.service import ControlPlane
from controlzero.session import HttpTool
from topics.control import Scope
from topics.opening import open_log

EVERY_SCOPE: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Tenant:
    """A project, of an organisation. `ids` are by the segment of a path that they follow; `words` nobody else may read or could choose."""

    organisation: str
    project: str
    secret: str
    ids: Mapping[str, str]
    words: tuple[str, ...]


@contextmanager
def plane_over(home: Path) -> Iterator[ControlPlane]:
    """Open the control plane of a data folder."""
    with closing(open_log(home / "log.db")) as log, ControlPlane(home, log) as plane:
        yield plane


def tenant(plane: ControlPlane, name: str, *, beside: Tenant | None = None) -> Tenant:
    """Make an organisation with one of each, or a project beside another of its organisation: `name` is in every word of it."""
    project, actor, organisation = f"{name}-shop", f"{name}-operator", beside.organisation if beside else f"{name}-org"
    if beside is None:
        plane.create_organisation(organisation, actor=actor)
        plane.set_member(f"{name}-member", "owner", organisation_id=organisation, actor=actor)
        plane.set_member(f"{name}-viewer", "viewer", organisation_id=organisation, actor=actor)
    plane.create_project(project, actor=actor, organisation_id=organisation)
    plane.add_environment(project, f"{name}-environment", actor=actor)
    secret, key = plane.create_key([project], actor=actor, name=f"{name}-ci", scopes=EVERY_SCOPE)
    other_secret, other = plane.create_key([project], actor=actor, name=f"{name}-agent")
    for effect in ("allow", "deny"):
        plane.apply_policy(project, a_policy(f"{name}-policy", effect), actor=actor, why=f"{name}-why")
    candidate = plane.add_candidate(project, a_policy(f"{name}-candidate", "warn"), actor=actor)
    plane.set_tool(project, HttpTool(name=f"{name}-tool", url=f"https://{name}.example.org/"), actor=actor)
    plane.set_secret(project, f"{name}-secret", f"{name}-value", actor=actor)
    order = plane.throw_order(project_id=project, agent_id=f"{name}-bot", reason=f"{name}-reason", actor=actor).order
    version = plane.policy(project)
    ids = {
        "projects": project,
        "members": beside.ids["members"] if beside else f"{name}-viewer",
        "environments": f"{name}-environment",
        "keys": other.key_id,
        "versions": str(version.version),
        "rules": f"{name}-rule",
        "candidates": candidate.digest,
        "tools": f"{name}-tool",
        "secrets": f"{name}-secret",
        "orders": order.order_id,
    }
    known = (secret, other_secret, key.prefix, other.prefix, key.key_id, version.digest, version.policy_digest, candidate.policy_digest)
    said = (actor, f"{name}-why", f"{name}-value", f"{name}-reason", f"{name}-bot", f"{name}-ci", f"{name}-agent", f"{name}.example.org")
    words = (*said, f"{name}-policy", f"{name}-candidate", other.key_id, order.order_id, candidate.digest, *known)
    return Tenant(organisation=organisation, project=project, secret=secret, ids=ids, words=words)


def a_policy(name: str, effect: str) -> dict[str, Any]:
    """Return a policy of one rule."""
    return {"name": name, "rules": [{"id": name.replace("policy", "rule"), "effect": effect, "action": "llm:*"}]}


def holdings(plane: ControlPlane, of: Tenant) -> object:
    """Return all there is of a tenant, but for when its keys were last used."""
    return (
        plane.project(of.project),
        plane.policy_versions(of.project),
        plane.list_candidates(of.project, closed=True),
        [(key.key_id, key.scopes, key.projects, key.revoked_at, key.expires_at) for key in plane.list_keys(of.project)],
        plane.list_tools(of.project),
        plane.list_secrets(of.project),
        plane.list_environments(of.project),
        plane.list_members(of.organisation),
        plane.list_orders(of.project, lifted=True),
        plane.control_log(of.project, limit=1000),
    )


BODIES: Mapping[tuple[str, str], Any] = {
    ("put", "/v1/members/{name}"): {"role": "admin"},
    ("post", "/v1/projects"): {"project_id": "{projects}"},
    ("patch", "/v1/projects/{project_id}"): {"settings": {"name": "changed"}},
    ("put", "/v1/projects/{project_id}/mode"): {"mode": "off"},
    ("post", "/v1/projects/{project_id}/archive"): {"why": "because"},
    ("post", "/v1/projects/{project_id}/restore"): {"why": "because"},
    ("put", "/v1/projects/{project_id}/environments/{name}"): {"why": "because"},
    ("put", "/v1/projects/{project_id}/policy"): {"policies": [a_policy("new", "deny")]},
    ("post", "/v1/policies/check"): {"policies": [a_policy("new", "deny")]},
    ("post", "/v1/projects/{project_id}/policy/dry-run"): {"calls": [{"action": "llm:generate"}]},
    ("put", "/v1/projects/{project_id}/policy/rules/{rule_id}/mode"): {"mode": "log-only"},
    ("post", "/v1/projects/{project_id}/candidates"): {"policies": [a_policy("new", "deny")]},
    ("post", "/v1/projects/{project_id}/candidates/{digest}/promote"): {"why": "because"},
    ("post", "/v1/projects/{project_id}/keys"): {"projects": ["{projects}"], "environment": "{environments}", "member": "{members}"},
    ("post", "/v1/projects/{project_id}/keys/{key_id}/rotate"): {"grace_s": 0},
    ("put", "/v1/projects/{project_id}/tools/{name}"): {"tool": {"kind": "http", "url": "https://example.org/"}},
    ("put", "/v1/projects/{project_id}/secrets/{name}"): {"value": "new", "environment": "{environments}"},
    ("post", "/v1/projects/{project_id}/orders"): {"agent_id": "bot", "reason": "because"},
}
"""What each route with a body is sent; `{…}` stands for an id."""
