"""The tables of a store, as this version of Haizea knows them.

They are made and changed by ``migrations/versions``; a test compares the two. Moments are
seconds since the epoch, durations seconds, amounts integers of 64 bits.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

#: In SQLite only a key of the type INTEGER is the row's own number.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: One row (``id`` 1). ``epoch`` counts managers: who saves has the latest. ``turn`` counts
#: what was saved; ``now`` is the last turn's moment. ``next_lease`` and ``last_event`` never
#: go back. ``enacted`` is the last event whose commands were handed over. ``site`` is
#: a ``SiteRecord`` as JSON, ``holder`` the manager in words.
state = sa.Table(
    "state",
    metadata,
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

#: Every lease that is not forgotten. ``document`` is its ``LeaseRecord`` as JSON, and says
#: all; the other columns repeat what questions are asked by.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=False),
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
sa.Index("leases_by_owner", leases.c.owner, leases.c.id)
sa.Index("leases_by_state", leases.c.state, leases.c.id)
sa.Index("leases_by_label", leases.c.label, leases.c.id)
sa.Index("leases_by_submission", leases.c.submitted, leases.c.id)
sa.Index("leases_by_end", leases.c.is_over, leases.c.changed)
sa.Index("leases_by_is_over", leases.c.is_over, leases.c.id)

#: Every decision that is kept. ``kind`` is the decision's class, ``document`` the decision
#: as JSON; ``lease`` and ``owner`` are NULL where it is about a host.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("lease", sa.BigInteger),
    sa.Column("owner", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
sa.Index("events_by_lease", events.c.lease, events.c.kind, events.c.id)
sa.Index("events_by_owner", events.c.owner, events.c.id)
sa.Index("events_by_time", events.c.kind, events.c.time)

#: Which lease a request with an idempotency key became. ``digest`` is that of what was asked
#: for; NULL where nobody said.
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("lease", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text),
)
sa.Index("keys_by_lease", keys.c.lease)

#: Small texts by name.
settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: ``digest`` is the SHA-256 of the secret, in hexadecimal. ``revoked`` is when it was.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger),
    sa.Column("last_used", sa.BigInteger),
    sa.Column("revoked", sa.BigInteger),
    sqlite_autoincrement=True,
)
sa.Index("tokens_by_digest", tokens.c.digest, unique=True)
sa.Index(
    "tokens_by_name",
    tokens.c.name,
    unique=True,
    sqlite_where=tokens.c.revoked.is_(None),
    postgresql_where=tokens.c.revoked.is_(None),
)

#: When managers started. ``down_since`` is the last turn of the manager before, if any.
starts = sa.Table(
    "starts",
    metadata,
    sa.Column("started", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("down_since", sa.BigInteger),
)
