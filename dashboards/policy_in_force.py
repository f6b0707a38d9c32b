"""The policy a project's evidence must be about: its bundles, since when it is in force, and whether it denies everything."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from controlplane.model import PolicyVersion
from dashboards.desk import from_micros


def bundles_of(versions: Sequence[PolicyVersion], policy_digest: str | None) -> list[str]:
    """Return the digests of all bundles that carry this policy: a switch of the mode or a candidate makes another of the same."""
    return [version.digest for version in versions if version.policy_digest == policy_digest]


def in_force_since(versions: Sequence[PolicyVersion]) -> datetime:
    """Return when the policy of the newest version came into force; versions are newest first, at least one."""
    same = takewhile(lambda version: version.policy_digest == versions[0].policy_digest, versions)
    return from_micros(min(version.created_at for version in same))


def names_of(policies: Sequence[Mapping[str, Any]]) -> str:
    """Return what a version's policies are called."""
    return ", ".join(str(policy.get("name", "policy")) for policy in policies)
