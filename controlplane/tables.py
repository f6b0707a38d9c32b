"""The control plane's tables, in SQL that SQLite and Postgres share. Times are microseconds since 1970 UTC."""

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from topics.control import AGENT_SCOPES

# A name for every constraint, so that a later migration can drop it on any database.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER


class Tables(DeclarativeBase):
    """The schema all tables belong to."""

    metadata = MetaData(naming_convention=NAMING)


class OrganisationRow(Tables):
    """Whom projects and members belong to; `default` is there from the start."""

    __tablename__ = "organisations"

    organisation_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[int] = mapped_column(BigInteger)


class MemberRow(Tables):
    """A person or a team of an organisation, by the name the control log shows, and the role that bounds the keys they have."""

    __tablename__ = "members"

    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.organisation_id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    added_at: Mapped[int] = mapped_column(BigInteger)
    added_by: Mapped[str] = mapped_column(String(200))


class ProjectRow(Tables):
    """A project as it is now. `version` is that of the bundle in force; None before the first policy."""

    __tablename__ = "projects"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    mode: Mapped[str] = mapped_column(String(16))
    version: Mapped[int | None]
    on_stale: Mapped[str] = mapped_column(String(16))
    on_unrecordable: Mapped[str] = mapped_column(String(16))
    bundle_days: Mapped[int | None]
    retention_days: Mapped[dict[str, int]] = mapped_column(JSON)
    webhook_url: Mapped[str | None] = mapped_column(String(2000))
    on_enforcement_gap: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[int] = mapped_column(BigInteger)
    archived_at: Mapped[int | None] = mapped_column(BigInteger)
    organisation_id: Mapped[str] = mapped_column(String(64), server_default="default")


class EnvironmentRow(Tables):
    """An environment of a project, such as `staging`: keys may be for one, and secrets differ by it."""

    __tablename__ = "environments"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(200))


class KeyRow(Tables):
    """An API key, by the SHA-256 of the whole; the key itself is nowhere."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(200))
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(200), server_default="")
    scopes: Mapped[str] = mapped_column(String(400), server_default=" ".join(AGENT_SCOPES))
    environment: Mapped[str | None] = mapped_column(String(64))
    member: Mapped[str | None] = mapped_column(String(200))
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    rotated_to: Mapped[str | None] = mapped_column(String(32))
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)


class GrantRow(Tables):
    """A project that a key may speak for."""

    __tablename__ = "api_key_grants"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.key_id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True, index=True)


class VersionRow(Tables):
    """One signed bundle of a project, with the change that made it. Never updated."""

    __tablename__ = "versions"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    policy_digest: Mapped[str] = mapped_column(String(64))
    mode: Mapped[str] = mapped_column(String(16))
    change: Mapped[str] = mapped_column(String(16))
    policies: Mapped[str] = mapped_column(Text)
    czpolicy: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(200))
    why: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class CandidateRow(Tables):
    """A bundle judged in shadow. A closed one stays, so that its digest in old decisions keeps its name."""

    __tablename__ = "candidates"
    __table_args__ = (Index("ix_candidates_open", "project_id", "closed_at"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    name: Mapped[str] = mapped_column(String(200))
    policy_digest: Mapped[str] = mapped_column(String(64))
    policies: Mapped[str] = mapped_column(Text)
    czpolicy: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_by: Mapped[str] = mapped_column(String(200))
    why: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    closed_at: Mapped[int | None] = mapped_column(BigInteger)
    closed_as: Mapped[str | None] = mapped_column(String(16))


class OrderRow(Tables):
    """A kill switch, and its end. A lifted one stays."""

    __tablename__ = "orders"

    order_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.project_id"), index=True)
    agent_id: Mapped[str | None] = mapped_column(String(512))
    reason: Mapped[str] = mapped_column(String(300))
    issued_at: Mapped[int] = mapped_column(BigInteger)
    issued_by: Mapped[str] = mapped_column(String(200))
    lifted_at: Mapped[int | None] = mapped_column(BigInteger, index=True)
    lifted_by: Mapped[str | None] = mapped_column(String(200))


class ToolRow(Tables):
    """A tool that a project's agents call by name: its declaration, as `controlzero.session` has it."""

    __tablename__ = "tools"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    declaration: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    updated_by: Mapped[str] = mapped_column(String(200))


class DataKeyRow(Tables):
    """The key that a project's secrets are sealed under, itself sealed under the vault's key."""

    __tablename__ = "data_keys"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    vault_key_id: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)


class SecretRow(Tables):
    """A secret of a project, sealed; without an environment it is for all of them."""

    __tablename__ = "secrets"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    environment: Mapped[str] = mapped_column(String(64), primary_key=True)  # empty: for all
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    updated_by: Mapped[str] = mapped_column(String(200))
    last_read_at: Mapped[int | None] = mapped_column(BigInteger)
    last_read_by: Mapped[str | None] = mapped_column(String(200))


class AnsweredRow(Tables):
    """What was answered to a change that may be asked for again, sealed: only who asks with the same key opens it."""

    __tablename__ = "answered"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.key_id"), primary_key=True)
    asked: Mapped[str] = mapped_column(String(64), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[int] = mapped_column(BigInteger, index=True)


class ControlLogRow(Tables):
    """Who changed what, when, from what to what, and why. Only ever appended to."""

    __tablename__ = "control_log"
    __table_args__ = (Index("ix_control_log_project_at", "project_id", "at"),)

    entry_id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.project_id"))
    subject: Mapped[str] = mapped_column(String(200))
    from_value: Mapped[str | None] = mapped_column(Text)
    to_value: Mapped[str | None] = mapped_column(Text)
    why: Mapped[str | None] = mapped_column(Text)


class OutboxRow(Tables):
    """A control record that is committed and not yet known to be in the control topic; no bytes are the key's tombstone."""

    __tablename__ = "outbox"

    outbox_id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    written_at: Mapped[int] = mapped_column(BigInteger)
