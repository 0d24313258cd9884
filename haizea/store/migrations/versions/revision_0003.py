"""Requests with an idempotency key, to tell a repetition from another request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column; of earlier requests it is not known."""
    op.add_column("keys", sa.Column("digest", sa.Text))
