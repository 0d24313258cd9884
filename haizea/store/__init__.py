"""Durable state of a daemon, in SQLite or PostgreSQL.

Only the daemon imports this: SQLAlchemy takes a fifth of a second to import.
"""

from haizea.service_types import Event, LeaseQuery, Role, TokenInfo, TokenNameTaken
from haizea.store.errors import CodecError, StoreError, StoreLost, StoreMissing, StoreUnavailable
from haizea.store.store import Saved, Store
from haizea.store.tokens import TokenTable
from haizea.store.turns import KeptTurn, RequestKey

__all__ = [
    "CodecError",
    "Event",
    "KeptTurn",
    "LeaseQuery",
    "RequestKey",
    "Role",
    "Saved",
    "Store",
    "StoreError",
    "StoreLost",
    "StoreMissing",
    "StoreUnavailable",
    "TokenInfo",
    "TokenNameTaken",
    "TokenTable",
]
