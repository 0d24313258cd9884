"""Place of a store: a file, or a PostgreSQL database; and how that is told without a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from haizea.store.errors import StoreError

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}

_HOW = "write a path (/var/lib/haizea/store.db) or postgresql://user@host/database"


@dataclass(frozen=True, slots=True)
class Address:
    """``path`` is the SQLite file, or ``None``. ``shown`` is for people, without a password."""

    url: sa.URL = field(repr=False)
    path: Path | None
    shown: str


def parse_address(text: str) -> Address:
    """The address that a path or URL means. Raises :class:`StoreError` for what is neither."""
    if not text.strip() or "\0" in text:
        raise StoreError(f"the store has no usable address; {_HOW}")
    if "://" not in text:
        return _file(text)
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        raise StoreError(f"the address of the store is not a valid URL; {_HOW}") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise StoreError(f"a store cannot be kept in {url.drivername!r:.40}; {_HOW}")
    if driver == "sqlite+pysqlite":
        if not url.database or url.database == ":memory:" or url.query or url.host:
            raise StoreError(f"a SQLite store needs the path of a file and nothing more; {_HOW}")
        return _file(url.database)
    return Address(url.set(drivername=driver), None, _without_secrets(url))


def _file(text: str) -> Address:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:
        raise StoreError(
            f"the store {text!r:.200} is in a home that is not known; {_HOW}"
        ) from None
    return Address(sa.URL.create("sqlite+pysqlite", database=str(path)), path, str(path))


def _without_secrets(url: sa.URL) -> str:
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{url.host or ''}{port}/{url.database or ''}"
