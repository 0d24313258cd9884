"""Notes made in one order and needed in another: kept on disk, sorted by SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

#: KB of memory, beside which everything lies on disk: it is written and read in order.
_CACHE_KB = 1024

#: So many rows are put away at a time.
_BATCH = 100


class Scratch:
    """A database of its own, without a name, that is gone when it is closed."""

    def __init__(self) -> None:
        self.db = sqlite3.connect("", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("PRAGMA temp_store = FILE")
        self.db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self.db.execute("BEGIN")

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()


class Spool:
    """Rows of some columns, in no order, that are read in that of ``order``.

    Rows that are the same by ``order`` come in the order in which they were added.
    """

    def __init__(self, scratch: Scratch, name: str, columns: str, order: str) -> None:
        self._db = scratch.db
        self._db.execute(f"CREATE TABLE {name} ({columns})")
        places = ", ".join("?" * len(columns.split(",")))
        self._insert = f"INSERT INTO {name} VALUES ({places})"
        self._select = f"SELECT * FROM {name} ORDER BY {order}, rowid"
        self._find = f"SELECT * FROM {name} WHERE rowid = ?"
        self._batch: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        """Note one row."""
        self._batch.append(row)
        if len(self._batch) >= _BATCH:
            self._put_away()

    def find(self, key: int) -> tuple[Any, ...] | None:
        """The row of this key, if the first column is an INTEGER PRIMARY KEY."""
        if self._batch:
            self._put_away()
        found: tuple[Any, ...] | None = self._db.execute(self._find, (key,)).fetchone()
        return found

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self._put_away()
        return iter(self._db.execute(self._select))

    def _put_away(self) -> None:
        self._db.executemany(self._insert, self._batch)
        self._batch.clear()
