"""Changing what judges a project: its policy, its mode and its candidates."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from sqlalchemy import select

from controlplane.answers import as_candidate, as_change, version_row
from controlplane.changes import InHand, locked_project, log_change, open_candidates, publish_project
from controlplane.model import CANDIDATES_MAX, Candidate, Change, NotFound, Rotated
from controlplane.signing import candidate_row, decode_policies, next_version
from controlplane.tables import CandidateRow, ProjectRow, VersionRow
from controlzero import secrets_on_disk
from controlzero.bundle import key_id
from controlzero.errors import Rejected
from controlzero.policy import Policy, parse, policy_digest
from controlzero.policy.model import RuleMode
from controlzero.records import Mode

NAMED_MAX = 20  # rules of a policy, in one sentence


def apply_policies(change: InHand, project_id: str, policies: Sequence[Policy], *, key: Ed25519PrivateKey) -> Change:
    """Put `policies` in force, unless they are."""
    return _put_in_force(change, locked_project(change.session, project_id), policies, key=key)


def set_mode(change: InHand, project_id: str, mode: Mode, *, key: Ed25519PrivateKey) -> Change:
    """Set the project's mode and sign its bundle again under it, unless that is its mode."""
    project = locked_project(change.session, project_id)
    if project.mode == mode:
        return as_change(change.session, project, changed=False)
    before, project.mode = project.mode, mode
    next_version(change, project, cause="mode", key=key)
    log_change(change, "mode.set", project_id=project_id, subject=project_id, before=before, after=mode)
    publish_project(change, project)
    return as_change(change.session, project, changed=True)


def set_rule_mode(change: InHand, project_id: str, rule_id: str, mode: RuleMode | None, *, key: Ed25519PrivateKey) -> Change:
    """Give a rule of the policy in force that mode, and put the policy in force so. Raises `NotFound`."""
    project = locked_project(change.session, project_id)
    row = version_row(change.session, project_id, None)
    policies = [parse(document) for document in decode_policies(row.policies)]
    found = [(place, number) for place, policy in enumerate(policies) for number, name in enumerate(_rule_names(policy)) if rule_id in name]
    if not found:
        there = ", ".join(name[0] for policy in policies for name in _rule_names(policy)[:NAMED_MAX])
        raise NotFound(f"rule `{rule_id}`: the policy in force of project `{project_id}` has none such, there are: {there}")
    if len(found) > 1:
        raise Rejected(f"rule `{rule_id}`: {len(found)} policies of the bundle have one such; name it as `<policy>#<place>`")
    place, number = found[0]
    rules = policies[place].rules
    before = rules[number].mode
    changed = (*rules[:number], replace(rules[number], mode=mode), *rules[number + 1 :])
    policies[place] = replace(policies[place], rules=changed)
    if before != mode:
        log_change(change, "rule.mode", project_id=project_id, subject=rule_id[:200], before=before or "project", after=mode or "project")
    return _put_in_force(change, project, policies, key=key)


def add_candidate(change: InHand, project_id: str, policies: Sequence[Policy], *, key: Ed25519PrivateKey) -> Candidate:
    """Have `policies` judged in shadow; return the candidate, the open one if there is one with these policies."""
    project = locked_project(change.session, project_id)
    beside = open_candidates(change.session, project_id)
    digest = policy_digest(policies)
    for row in beside:
        if row.policy_digest == digest:
            return as_candidate(row)
    if len(beside) >= CANDIDATES_MAX:
        raise Rejected(f"project `{project_id}`: {len(beside)} candidates, expected at most {CANDIDATES_MAX}; remove one that is decided")
    row = candidate_row(change, project, policies, key=key)
    log_change(change, "candidate.added", project_id=project_id, subject=row.name, after=row.digest)
    _sign_and_publish(change, project, key=key)
    return as_candidate(row)


def remove_candidate(change: InHand, project_id: str, name: str, *, key: Ed25519PrivateKey) -> Candidate:
    """Stop judging by that candidate (its digest, the start of it, or its name)."""
    project = locked_project(change.session, project_id)
    row = _find_candidate(change, project_id, name)
    row.closed_at, row.closed_as = change.at, "removed"
    log_change(change, "candidate.removed", project_id=project_id, subject=row.name, before=row.digest)
    _sign_and_publish(change, project, key=key)
    return as_candidate(row)


def promote_candidate(change: InHand, project_id: str, name: str, *, key: Ed25519PrivateKey) -> Change:
    """Put that candidate's policies in force and close it."""
    project = locked_project(change.session, project_id)
    row = _find_candidate(change, project_id, name)
    row.closed_at, row.closed_as = change.at, "promoted"
    log_change(change, "candidate.promoted", project_id=project_id, subject=row.name, before=row.digest)
    policies = [parse(document) for document in decode_policies(row.policies)]
    applied = _put_in_force(change, project, policies, key=key)
    if not applied.changed:  # it was the active policy already: only the candidate is gone
        _sign_and_publish(change, project, key=key)
    return as_change(change.session, project, changed=True)


def renew(change: InHand, project_id: str, *, key: Ed25519PrivateKey) -> bool:
    """Sign the project's bundle again if it is past half its age; say whether it was."""
    project = locked_project(change.session, project_id)
    current = change.session.get(VersionRow, (project_id, project.version)) if project.version else None
    if current is None or current.expires_at is None or change.at < (current.created_at + current.expires_at) // 2:
        return False
    next_version(change, project, cause="renewal", key=key)
    log_change(
        change,
        "bundle.renewed",
        project_id=project_id,
        subject=project_id,
        before=f"version {current.version}",
        after=f"version {project.version}",
    )
    publish_project(change, project)
    return True


def rotate_signing_key(change: InHand, home: Path) -> Rotated:
    """Make the key that signs from now on, and sign every project's bundle by it: so agents learn of it."""
    old, key = secrets_on_disk.rotate_signing_key(home)
    before, after = (key_id(each.public_key().public_bytes_raw()) for each in (old, key))
    log_change(change, "signing_key.rotated", project_id=None, subject="signing key", before=before, after=after)
    signed = change.session.scalars(select(ProjectRow.project_id).where(ProjectRow.version > 0).order_by(ProjectRow.project_id)).all()
    for project_id in signed:
        project = locked_project(change.session, project_id)
        next_version(change, project, cause="rotation", key=key)
        publish_project(change, project)
    return Rotated(before, after, tuple(signed))


def _rule_names(policy: Policy) -> list[tuple[str, ...]]:
    """Return what each rule may be called: its id, and its place in its policy."""
    return [
        (rule.id, f"{policy.name}#{number}") if rule.id else (f"{policy.name}#{number}",) for number, rule in enumerate(policy.rules, 1)
    ]


def _put_in_force(change: InHand, project: ProjectRow, policies: Sequence[Policy], *, key: Ed25519PrivateKey) -> Change:
    before = change.session.get(VersionRow, (project.project_id, project.version)) if project.version else None
    if before is not None and before.policy_digest == policy_digest(policies):
        return as_change(change.session, project, changed=False)
    after = next_version(change, project, cause="policy", key=key, policies=policies)
    log_change(
        change,
        "policy.applied",
        project_id=project.project_id,
        subject=", ".join(policy.name for policy in policies)[:200],
        before=f"version {before.version}" if before else None,
        after=f"version {after.version}" if after else None,
    )
    publish_project(change, project)
    return as_change(change.session, project, changed=True)


def _sign_and_publish(change: InHand, project: ProjectRow, *, key: Ed25519PrivateKey) -> None:
    """Sign again if the candidates changed what agents must record, and tell the followers."""
    change.session.flush()
    next_version(change, project, cause="candidate", key=key)
    publish_project(change, project)


def _find_candidate(change: InHand, project_id: str, name: str) -> CandidateRow:
    beside = open_candidates(change.session, project_id)
    found = [row for row in beside if row.digest == name] or [
        row for row in beside if row.name == name or (len(name) >= 8 and row.digest.startswith(name))
    ]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{row.name} ({row.digest[:12]})" for row in beside) or "none"
    if found:
        raise Rejected(f"candidate `{name}`: {len(found)} fit, expected one; name it by its digest: {there}")
    raise NotFound(f"candidate `{name}`: project `{project_id}` has none such, there are: {there}")
