"""When a project was archived."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; projects there are in use."""
    op.add_column("projects", sa.Column("archived_at", sa.BigInteger(), nullable=True))
