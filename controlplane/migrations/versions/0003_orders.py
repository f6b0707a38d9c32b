"""Orders, and what an enforcement gap leads to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the setting; projects there are only record."""
    op.create_table(
        "orders",
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=True),
        sa.Column("agent_id", sa.String(512), nullable=True),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("issued_by", sa.String(200), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(200), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"], name="fk_orders_project_id"),
        sa.PrimaryKeyConstraint("order_id", name="pk_orders"),
    )
    op.create_index("ix_orders_project_id", "orders", ["project_id"])
    op.create_index("ix_orders_lifted_at", "orders", ["lifted_at"])
    op.add_column("projects", sa.Column("on_enforcement_gap", sa.String(16), nullable=False, server_default="record"))
