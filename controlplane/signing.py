"""Making bundles: the next version of a project's, and those of its candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from controlplane.changes import InHand, open_candidates, publish
from controlplane.model import POLICIES_MAX, Cause
from controlplane.tables import CandidateRow, ProjectRow, VersionRow
from controlzero import policy as policy_language
from controlzero.bundle import CANDIDATE_VERSION, Bundle, digest, key_id, sign, verify
from controlzero.errors import BundleVerificationError, Rejected
from controlzero.policy import Policy, canonical, parse, policy_digest
from controlzero.policy.parse import parse_all
from topics.control import BundleRecord

DAY_US = 86_400_000_000
PolicySource = Policy | str | bytes | Mapping[str, Any]


def parse_policies(source: PolicySource | Sequence[PolicySource], *, name: str = "policy") -> tuple[Policy, ...]:
    """Return the policies of `source`: one or several, each as text (JSON, YAML), decoded, or parsed.

    `name` is for those that give themselves none. Raises `PolicyError` naming every problem by its path.
    """
    sources = [source] if isinstance(source, Policy | str | bytes | Mapping) else list(source)
    if not 1 <= len(sources) <= POLICIES_MAX:
        raise Rejected(f"policies: {len(sources)} given, expected 1 to {POLICIES_MAX} in one bundle")
    return parse_all(sources, name=name)


def policies_text(policies: Sequence[Policy]) -> str:
    """Return the policies as the JSON array that a row keeps."""
    return "[" + ",".join(canonical(policy).decode() for policy in policies) + "]"


def decode_policies(text: str) -> tuple[dict[str, Any], ...]:
    """Return the policy documents of a row."""
    return tuple(msgspec.json.decode(text, type=list[dict[str, Any]]))


def next_version(
    change: InHand,
    project: ProjectRow,
    *,
    cause: Cause,
    key: Ed25519PrivateKey,
    policies: Sequence[Policy] | None = None,
) -> VersionRow | None:
    """Sign the project as it is now, with `policies` or those in force, as its next version, and put it in force.

    Returns the version in force: the one before where signing again would say nothing new (renewals apart),
    None where the project has no policy yet.
    """
    current = change.session.get(VersionRow, (project.project_id, project.version)) if project.version else None
    if policies is None:
        if current is None:
            return None
        policies = [parse(document) for document in decode_policies(current.policies)]
    bundle = _bundle(change, project, policies)
    if current is not None and cause != "renewal" and _says_the_same(bundle, current, key):
        return current
    row = VersionRow(
        project_id=project.project_id,
        version=bundle.version,
        digest=digest(bundle),
        policy_digest=bundle.policy_digest,
        mode=bundle.mode,
        change=cause,
        policies=policies_text(policies),
        czpolicy=sign(bundle, key),
        expires_at=bundle.expires_at,
        created_by=change.actor,
        why=change.why,
        created_at=change.at,
    )
    change.session.add(row)
    project.version = row.version
    change.session.flush()
    publish(change, BundleRecord(digest=row.digest, project_id=project.project_id, czpolicy=row.czpolicy))
    return row


def candidate_row(change: InHand, project: ProjectRow, policies: Sequence[Policy], *, key: Ed25519PrivateKey) -> CandidateRow:
    """Sign `policies` as a candidate of the project and return its row, published."""
    bundle = msgspec.structs.replace(
        _bundle(change, project, policies),
        version=CANDIDATE_VERSION,
        expires_at=None,
        reads=tuple(sorted(policy_language.compile(policies).reads)),
    )
    row = CandidateRow(
        digest=digest(bundle),
        project_id=project.project_id,
        name=", ".join(policy.name for policy in policies)[:200],
        policy_digest=bundle.policy_digest,
        policies=policies_text(policies),
        czpolicy=sign(bundle, key),
        created_by=change.actor,
        why=change.why,
        created_at=change.at,
    )
    change.session.add(row)
    change.session.flush()
    publish(change, BundleRecord(digest=row.digest, project_id=project.project_id, czpolicy=row.czpolicy))
    return row


def _bundle(change: InHand, project: ProjectRow, policies: Sequence[Policy]) -> Bundle:
    newest = change.session.scalar(select(func.max(VersionRow.version)).where(VersionRow.project_id == project.project_id)) or 0
    beside = [parse(document) for row in open_candidates(change.session, project.project_id) for document in decode_policies(row.policies)]
    reads = policy_language.compile(policies).reads.union(*(policy_language.compile(policy).reads for policy in beside))
    return Bundle(
        project_id=project.project_id,
        version=newest + 1,
        issued_at=change.at,
        expires_at=change.at + project.bundle_days * DAY_US if project.bundle_days else None,
        mode=project.mode,  # type: ignore[arg-type]  # only a Mode was ever written
        on_stale=project.on_stale,  # type: ignore[arg-type]
        on_unrecordable=project.on_unrecordable,  # type: ignore[arg-type]
        policies=decode_policies(policies_text(policies)),
        policy_digest=policy_digest(policies),
        reads=tuple(sorted(reads)),
    )


def _says_the_same(bundle: Bundle, current: VersionRow, key: Ed25519PrivateKey) -> bool:
    public = key.public_key().public_bytes_raw()
    try:
        signed = verify(current.czpolicy, {key_id(public): public})
    except BundleVerificationError:
        return False  # signed by a key we no longer have: sign it with ours
    return _undated(signed) == _undated(bundle)


def _undated(bundle: Bundle) -> Bundle:
    lasts = bundle.expires_at - bundle.issued_at if bundle.expires_at is not None else None
    return msgspec.structs.replace(bundle, version=0, issued_at=0, expires_at=lasts)
