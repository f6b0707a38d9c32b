"""What was answered to changes that may be asked for again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "answered",
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("asked", sa.String(64), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], name="fk_answered_key_id"),
        sa.PrimaryKeyConstraint("key_id", "asked", name="pk_answered"),
    )
    op.create_index("ix_answered_at", "answered", ["at"])
