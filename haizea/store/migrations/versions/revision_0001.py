"""Leases, their events, idempotency keys, settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _state()
    _leases()
    _events()
    op.create_table(
        "keys",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("lease", sa.BigInteger, nullable=False),
    )
    op.create_index("keys_by_lease", "keys", ["lease"])
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _state() -> None:
    state = op.create_table(
        "state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("now", sa.BigInteger),
        sa.Column("next_lease", sa.BigInteger, nullable=False),
        sa.Column("last_event", sa.BigInteger, nullable=False),
        sa.Column("enacted", sa.BigInteger, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
    )
    first = {"id": 1, "epoch": 0, "holder": "", "turn": 0, "next_lease": 1}
    op.bulk_insert(state, [first | {"last_event": 0, "enacted": 0, "site": "{}"}])


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("is_over", sa.Integer, nullable=False),
        sa.Column("submitted", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger),
        sa.Column("duration", sa.BigInteger),
        sa.Column("nodes", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("leases_by_owner", "leases", ["owner", "id"])
    op.create_index("leases_by_state", "leases", ["state", "id"])
    op.create_index("leases_by_label", "leases", ["label", "id"])
    op.create_index("leases_by_submission", "leases", ["submitted", "id"])
    op.create_index("leases_by_end", "leases", ["is_over", "changed"])
    op.create_index("leases_by_is_over", "leases", ["is_over", "id"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("events_by_lease", "events", ["lease", "kind", "id"])
    op.create_index("events_by_owner", "events", ["owner", "id"])
