"""Organisations, members and environments; scopes of keys; tools; secrets."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns. Keys there are go on delivering; they read no secrets, for none was given to them for that."""
    _organisations()
    _keys()
    _tools_and_secrets()


def _organisations() -> None:
    organisations = op.create_table(
        "organisations",
        sa.Column("organisation_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", name="pk_organisations"),
    )
    op.bulk_insert(organisations, [{"organisation_id": "default", "name": "Default", "created_at": time.time_ns() // 1000}])
    op.create_table(
        "members",
        sa.Column("organisation_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.organisation_id"], name="fk_members_organisation_id"),
        sa.PrimaryKeyConstraint("organisation_id", "name", name="pk_members"),
    )
    op.add_column("projects", sa.Column("organisation_id", sa.String(64), nullable=False, server_default="default"))
    op.create_table(
        "environments",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"], name="fk_environments_project_id"),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_environments"),
    )


def _keys() -> None:
    for column in (
        sa.Column("name", sa.String(200), nullable=False, server_default=""),
        sa.Column("scopes", sa.String(400), nullable=False, server_default="decisions:write bundle:read session:read"),
        sa.Column("environment", sa.String(64), nullable=True),
        sa.Column("member", sa.String(200), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("rotated_to", sa.String(32), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("api_keys", column)


def _tools_and_secrets() -> None:
    op.create_table(
        "tools",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("declaration", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"], name="fk_tools_project_id"),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_tools"),
    )
    op.create_table(
        "data_keys",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("vault_key_id", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"], name="fk_data_keys_project_id"),
        sa.PrimaryKeyConstraint("project_id", name="pk_data_keys"),
    )
    op.create_table(
        "secrets",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.Column("last_read_at", sa.BigInteger(), nullable=True),
        sa.Column("last_read_by", sa.String(200), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"], name="fk_secrets_project_id"),
        sa.PrimaryKeyConstraint("project_id", "environment", "name", name="pk_secrets"),
    )
