"""The control plane: all that people may ask of projects, keys and policies, and all they may change.

Each change is one transaction: its rows, its line in the control log, its records in the outbox. The records
are published right after; where that fails they wait for the next change, the next start or the next
`publish_pending`, and the change stands.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self, get_args

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from controlplane import answers, environments, keys, members, orders, outbox, policies, projects, secrets, tools
from controlplane.changes import InHand, locked_project, log_change
from controlplane.database import open_database, reading, writing
from controlplane.members import DEFAULT_ORGANISATION
from controlplane.model import (
    DEFAULT_SCOPES,
    Candidate,
    Change,
    Environment,
    FirstRun,
    Key,
    LogEntry,
    Member,
    Order,
    Organisation,
    PolicyVersion,
    Project,
    ProjectSettings,
    Role,
    Rotated,
    Secret,
    Thrown,
    VaultRotation,
)
from controlplane.signing import PolicySource, parse_policies
from controlplane.starter import STARTER_POLICY
from controlplane.tables import ProjectRow
from controlplane.vault import vault_keys
from controlzero.errors import Rejected, Unavailable
from controlzero.policy.model import RuleMode
from controlzero.records import Mode
from controlzero.secrets_on_disk import key_list, signing_key
from controlzero.session import Session as AgentSession
from controlzero.session import Tool
from controlzero.trust import KeyList
from topics.log import Log

DEFAULT_PROJECT = "default"
GRACE_S = 86_400  # of a rotated key: a day to bring the new one to where the old one is

log_line = structlog.get_logger("controlplane")
_TOGETHER: ContextVar[tuple["ControlPlane | None", Session | None]] = ContextVar("_TOGETHER", default=(None, None))


class ControlPlane:
    """Projects, keys, policies and modes of one data folder. Threads may share one; processes open their own."""

    def __init__(
        self,
        home: Path,
        log: Log,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        token: Callable[[int], str] = token_urlsafe,
    ) -> None:
        """Open the data folder `home` (made if it is not there), and publish what an earlier end left behind.

        `clock` gives microseconds since 1970 UTC, `token` url-safe random text of so many bytes.
        """
        self._log = log
        self._clock = clock
        self._token = token
        self._engine = open_database(home)
        self._home = home
        signing_key(home)  # made before the first bundle, so that agents and workers can be given its public half
        self._publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # Projects

    def list_projects(self, *, archived: bool = False) -> list[Project]:
        """Return the projects by id, with those archived if `archived`."""
        with self._reading() as session:
            return answers.list_projects(session, archived=archived)

    def project(self, project_id: str) -> Project:
        """Return the project. Raises `NotFound`."""
        with self._reading() as session:
            return answers.project(session, project_id)

    def create_project(
        self,
        project_id: str,
        *,
        actor: str,
        name: str | None = None,
        organisation_id: str = DEFAULT_ORGANISATION,
        why: str | None = None,
    ) -> Project:
        """Make a project: log-only, without a policy. Raises `Rejected` for an id that is taken or malformed."""
        with self._change(actor, why) as change:
            projects.create_project(change, project_id, name, organisation_id=organisation_id)
        return self.project(project_id)

    def set_project(self, project_id: str, settings: ProjectSettings, *, actor: str, why: str | None = None) -> Change:
        """Change the settings given. Raises `Rejected` for a value out of its bounds."""
        with self._change(actor, why) as change:
            return projects.set_project(change, project_id, settings, key=self._key)

    def archive_project(self, project_id: str, *, actor: str, why: str | None = None) -> bool:
        """Refuse what is sent to a project from now on, and leave it out of lists; return whether it was not so. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return projects.set_archived(change, project_id, archived=True)

    def restore_project(self, project_id: str, *, actor: str, why: str | None = None) -> bool:
        """Take a project out of the archive; return whether it was in it. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return projects.set_archived(change, project_id, archived=False)

    def ensure_default_project(self, *, actor: str = "first run") -> FirstRun | None:
        """Make the project `default` with the starter policy and a key; None where it is there already."""
        starter = parse_policies(STARTER_POLICY)
        with self._change(actor, None) as change:
            if change.session.get(ProjectRow, DEFAULT_PROJECT) is not None:
                return None
            projects.create_project(change, DEFAULT_PROJECT, "Default")
            policies.apply_policies(change, DEFAULT_PROJECT, starter, key=self._key)
            key, _ = keys.create_key(change, [DEFAULT_PROJECT], live=True, token=self._token)
        return FirstRun(project=self.project(DEFAULT_PROJECT), key=key)

    # Organisations, members and environments

    def list_organisations(self) -> list[Organisation]:
        """Return the organisations by id."""
        with self._reading() as session:
            return members.list_organisations(session)

    def create_organisation(self, organisation_id: str, *, actor: str, name: str | None = None, why: str | None = None) -> Organisation:
        """Make an organisation. Raises `Rejected` for an id that is taken or malformed."""
        with self._change(actor, why) as change:
            return members.create_organisation(change, organisation_id, name)

    def list_members(self, organisation_id: str = DEFAULT_ORGANISATION) -> list[Member]:
        """Return the members of an organisation by name. Raises `NotFound`."""
        with self._reading() as session:
            return members.list_members(session, organisation_id)

    def set_member(
        self, name: str, role: Role, *, actor: str, organisation_id: str = DEFAULT_ORGANISATION, why: str | None = None
    ) -> Member:
        """Add a member, or give one another role. Raises `Rejected` for the last owner's."""
        with self._change(actor, why) as change:
            return members.set_member(change, organisation_id, name, role)

    def remove_member(self, name: str, *, actor: str, organisation_id: str = DEFAULT_ORGANISATION, why: str | None = None) -> Member:
        """Remove a member and revoke the keys of that member. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return members.remove_member(change, organisation_id, name)

    def list_environments(self, project_id: str) -> list[Environment]:
        """Return the project's environments by name. Raises `NotFound`."""
        with self._reading() as session:
            answers.project(session, project_id)
            return environments.list_environments(session, project_id)

    def add_environment(self, project_id: str, name: str, *, actor: str, why: str | None = None) -> Environment:
        """Make an environment of a project, unless there is one of that name."""
        with self._change(actor, why) as change:
            return environments.add_environment(change, project_id, name)

    def remove_environment(self, project_id: str, name: str, *, actor: str, why: str | None = None) -> Environment:
        """Remove an environment that no secret and no key in use is for. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return environments.remove_environment(change, project_id, name)

    # Keys

    def create_key(
        self,
        projects: Sequence[str],
        *,
        actor: str,
        live: bool = True,
        name: str | None = None,
        scopes: Sequence[str] = DEFAULT_SCOPES,
        environment: str | None = None,
        member: str | None = None,
        why: str | None = None,
    ) -> tuple[str, Key]:
        """Make a key for these projects; return its secret, this once, and what is kept of it."""
        with self._change(actor, why) as change:
            return keys.create_key(
                change, projects, live=live, token=self._token, name=name, scopes=scopes, environment=environment, member=member
            )

    def rotate_key(self, key: str, *, actor: str, grace_s: int = GRACE_S, why: str | None = None) -> tuple[str, Key]:
        """Make a key in the place of that one, which is good for `grace_s` more; return the new secret, this once. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return keys.rotate_key(change, key, grace_s=grace_s, token=self._token)

    def grant(self, key_id: str, project_id: str, *, actor: str, why: str | None = None) -> Key:
        """Let a key speak for one more project of its organisation. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return keys.grant(change, key_id, project_id)

    def revoke_key(self, key: str, *, actor: str, why: str | None = None) -> Key:
        """Revoke the key of that id or prefix: what it sends is refused from now on. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return keys.revoke_key(change, key)

    def list_keys(self, project_id: str | None = None) -> list[Key]:
        """Return the keys, newest first; those that grant `project_id` if it is given."""
        with self._reading() as session:
            return keys.list_keys(session, project_id)

    def key_by_secret(self, secret: bytes) -> Key | None:
        """Return the key with this secret, whatever its state; None where there is none such."""
        with self._reading() as session:
            return keys.key_by_secret(session, secret)

    def note_use(self, used_at: Mapping[str, int]) -> None:
        """Keep when keys were last used (microseconds), by their ids."""
        if used_at:
            with writing(self._engine) as session:
                keys.note_use(session, used_at)

    # Tools, secrets, and the session that brings them to agents

    def list_tools(self, project_id: str) -> list[Tool]:
        """Return the project's tools by name. Raises `NotFound`."""
        with self._reading() as session:
            answers.project(session, project_id)
            return tools.list_tools(session, project_id)

    def set_tool(self, project_id: str, tool: Tool, *, actor: str, why: str | None = None) -> bool:
        """Declare a tool under its name; return whether that changed anything. Raises `Rejected`."""
        with self._change(actor, why) as change:
            return tools.set_tool(change, project_id, tool)

    def delete_tool(self, project_id: str, name: str, *, actor: str, why: str | None = None) -> Tool:
        """Delete a tool. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return tools.delete_tool(change, project_id, name)

    def list_secrets(self, project_id: str) -> list[Secret]:
        """Return what may be known of the project's secrets: all but their values. Raises `NotFound`."""
        with self._reading() as session:
            answers.project(session, project_id)
            return secrets.list_secrets(session, project_id)

    def set_secret(
        self, project_id: str, name: str, value: str, *, actor: str, environment: str | None = None, why: str | None = None
    ) -> Secret:
        """Keep a value under a name, for one environment or (None) for all. Nothing but a session of a key reads it again."""
        with self._change(actor, why) as change:
            return secrets.set_secret(change, project_id, environment, name, value, home=self._home)

    def delete_secret(self, project_id: str, name: str, *, actor: str, environment: str | None = None, why: str | None = None) -> Secret:
        """Delete a secret. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return secrets.delete_secret(change, project_id, environment, name)

    def rotate_vault_key(self, *, actor: str, why: str | None = None) -> VaultRotation:
        """Seal all data keys anew under a new key of the vault, and destroy the former one where it is ours."""
        with self._change(actor, why) as change:
            secrets.rotate(change, self._home)
        with writing(self._engine) as session:  # another rotation may have come in between, and its key is the one in use then
            return secrets.rotated(session, self._home)

    def session(self, project_id: str, key: Key, *, with_secrets: bool) -> AgentSession:
        """Return what agents with that key work with: the project's tools, and the secrets of the key's environment.

        That they are read is noted before they are given. Raises `NotFound`, `Tampered` where they do not open.
        """
        if not with_secrets:
            return AgentSession(project_id=project_id, tools=tuple(self.list_tools(project_id)))
        for _ in range(2):  # the vault's key may be rotated in between, once
            now = vault_keys(self._home)
            with self._reading() as session:
                answers.project(session, project_id)
                declared = tuple(tools.list_tools(session, project_id))
                sealed = secrets.sealed_secrets(session, project_id, key.environment)
            if secrets.is_openable(sealed, now):
                break
        reader = keys.label_of(key)
        if not secrets.is_noted(sealed, reader=reader, at=self._clock()):
            with self._change(reader, None) as change:
                secrets.note_read(change, project_id, sealed)
        return AgentSession(project_id=project_id, tools=declared, secrets=secrets.opened(sealed, now))

    # Policies, mode and candidates

    def apply_policy(self, project_id: str, source: PolicySource | Sequence[PolicySource], *, actor: str, why: str | None = None) -> Change:
        """Put one or several policies in force; `changed` is False where they are already.

        Raises `PolicyError` naming every problem by its path, `NotFound` for an unknown project.
        """
        parsed = parse_policies(source)
        with self._change(actor, why) as change:
            return policies.apply_policies(change, project_id, parsed, key=self._key)

    def policy_versions(
        self, project_id: str, *, limit: int | None = None, before: int | None = None, with_policies: bool = True
    ) -> list[PolicyVersion]:
        """Return the project's signed versions, newest first, on request without what they say; `before` is a version to page on from."""
        with self._reading() as session:
            return answers.policy_versions(session, project_id, limit=limit, before=before, with_policies=with_policies)

    def policy(self, project_id: str, version: int | None = None) -> PolicyVersion:
        """Return that version, or the one in force. Raises `NotFound`."""
        with self._reading() as session:
            return answers.policy(session, project_id, version)

    def by_digest(self, project_id: str, digest: str) -> PolicyVersion | Candidate | None:
        """Return what the project signed under that bundle digest, candidates included; None if it is not the project's."""
        with self._reading() as session:
            return answers.by_digest(session, project_id, digest)

    def czpolicy(self, project_id: str, version: int | None = None) -> bytes:
        """Return that version, or the one in force, as the bytes of a `.czpolicy` file. Raises `NotFound`."""
        with self._reading() as session:
            return answers.version_row(session, project_id, version).czpolicy

    def set_mode(self, project_id: str, mode: Mode, *, actor: str, why: str | None = None) -> Change:
        """Set the mode; agents follow when they next fetch the bundle, which is signed again under it."""
        if mode not in get_args(Mode):
            raise Rejected(f"mode: `{mode}`, expected one of {', '.join(get_args(Mode))}")
        with self._change(actor, why) as change:
            return policies.set_mode(change, project_id, mode, key=self._key)

    def set_rule_mode(self, project_id: str, rule_id: str, mode: RuleMode | None, *, actor: str, why: str | None = None) -> Change:
        """Have a rule of the policy in force only log while the project enforces, or (None) follow its project. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return policies.set_rule_mode(change, project_id, rule_id, mode, key=self._key)

    def list_candidates(self, project_id: str, *, closed: bool = False) -> list[Candidate]:
        """Return the project's candidates, oldest first, with those removed or promoted if `closed`."""
        with self._reading() as session:
            return answers.list_candidates(session, project_id, closed=closed)

    def add_candidate(
        self, project_id: str, source: PolicySource | Sequence[PolicySource], *, actor: str, why: str | None = None
    ) -> Candidate:
        """Have policies judged in shadow beside the active ones. Raises `PolicyError`, `Rejected` beyond `CANDIDATES_MAX`."""
        parsed = parse_policies(source)
        with self._change(actor, why) as change:
            return policies.add_candidate(change, project_id, parsed, key=self._key)

    def remove_candidate(self, project_id: str, candidate: str, *, actor: str, why: str | None = None) -> Candidate:
        """Stop judging by the candidate of that digest (its start will do) or name. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return policies.remove_candidate(change, project_id, candidate, key=self._key)

    def promote_candidate(self, project_id: str, candidate: str, *, actor: str, why: str | None = None) -> Change:
        """Put the candidate's policies in force and close it. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return policies.promote_candidate(change, project_id, candidate, key=self._key)

    def renew_bundles(self, *, actor: str = "controlplane") -> int:
        """Sign again the bundles past half their age, so that agents that can reach us never hold an old one; return how many."""
        renewed = 0
        for project in self.list_projects():
            with self._change(actor, "renewal before expiry") as change:
                renewed += policies.renew(change, project.project_id, key=self._key)
        return renewed

    def signing_keys(self) -> KeyList:
        """Return the public keys that bundles are and were signed with, and what they say of one another."""
        return key_list(self._home)

    def rotate_signing_key(self, *, actor: str, why: str | None = None) -> Rotated:
        """Sign with a new key from now on, which the old one endorses before it is deleted, and every project's bundle anew."""
        with self._change(actor, why) as change:
            return policies.rotate_signing_key(change, self._home)

    # Orders

    def throw_order(self, *, reason: str, actor: str, project_id: str | None = None, agent_id: str | None = None) -> Thrown:
        """Stop an agent of a project, all agents of a project, or (neither given) everything, until the order is lifted.

        Raises `Rejected` without a reason or past the limit, `NotFound` for an unknown project.
        """
        with self._change(actor, reason) as change:
            return orders.throw_order(change, project_id, agent_id, reason, token=self._token)

    def lift_order(self, order_id: str, *, actor: str, why: str | None = None) -> Order:
        """End an order: the policy alone decides again. Raises `NotFound`."""
        with self._change(actor, why) as change:
            return orders.lift_order(change, order_id)

    def list_orders(self, project_id: str | None = None, *, lifted: bool = False) -> list[Order]:
        """Return the orders in force, newest first, with those lifted if `lifted`; those that concern `project_id` if it is given."""
        with self._reading() as session:
            return orders.list_orders(session, project_id, lifted=lifted)

    def latest_order(self, project_id: str, agent_id: str) -> Order | None:
        """Return the last order thrown for that agent, lifted or not."""
        with self._reading() as session:
            return orders.latest_order(session, project_id, agent_id)

    # The control log and the control topic

    def control_log(self, project_id: str | None = None, *, limit: int = 100, before: int | None = None) -> list[LogEntry]:
        """Return the newest entries, of one project or of all; `before` is an entry id to page on from."""
        with self._reading() as session:
            return answers.control_log(session, project_id, limit=limit, before=before)

    def record(self, project_id: str | None, action: str, subject: str, *, actor: str, why: str | None = None) -> None:
        """Write a line for what is no change here and must be known all the same: an export, a read of raw data."""
        with self._change(actor, why) as change:
            if project_id is not None:
                locked_project(change.session, project_id)
            log_change(change, action, project_id=project_id, subject=subject)

    def publish_pending(self) -> int:
        """Publish what is committed and unpublished; return how many records. Raises `Unavailable`."""
        return outbox.publish_pending(self._engine, self._log)

    def pending(self) -> int:
        """Count the records that wait to be published."""
        return outbox.pending(self._engine)

    @property
    def _key(self) -> Ed25519PrivateKey:
        """The key that signs now: another process may have rotated it."""
        return signing_key(self._home)

    @contextmanager
    def together(self) -> Iterator[Session]:
        """Make what is asked and changed in the block one transaction: at its end all of it is committed, or nothing.

        A block inside another is part of it.
        """
        shared = self._shared()
        if shared is not None:
            yield shared
            return
        with writing(self._engine) as session:
            joined = _TOGETHER.set((self, session))
            try:
                yield session
            finally:
                _TOGETHER.reset(joined)
        self._publish()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        shared = self._shared()
        if shared is not None:
            yield shared
            return
        with reading(self._engine) as session:
            yield session

    @contextmanager
    def _change(self, actor: str, why: str | None) -> Iterator[InHand]:
        shared = self._shared()
        if shared is not None:
            yield InHand(session=shared, at=self._clock(), actor=actor, why=why)
            shared.flush()
            return
        with writing(self._engine) as session:
            yield InHand(session=session, at=self._clock(), actor=actor, why=why)
        self._publish()

    def _shared(self) -> Session | None:
        plane, session = _TOGETHER.get()
        return session if plane is self else None

    def _publish(self) -> None:
        try:
            outbox.publish_pending(self._engine, self._log)
        except Unavailable as error:
            log_line.warning("What was changed is kept; gateways and workers are told of it when the log takes it again.", why=str(error))
