"""Rows on their way into a fresh SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache

#: Rows in one INSERT. Above this SQLite gains nothing more.
_ROWS_PER_STATEMENT = 200


class Rows:
    """Rows of one table, buffered.

    ``values`` is flat, row after row: whoever adds a row extends it by exactly as many
    values as there are ``columns`` (all of the table's where none are named), without the
    first ones, which are ``shared`` by all rows. That, and many rows to a statement, costs
    half of what a tuple per row and ``executemany`` cost.

    Columns that are not named are NULL. Where many are, that pays: Python asks around what
    to do with a ``None``, which takes ten times as long as to write a number.
    """

    __slots__ = ("_block", "_db", "_into", "_shared", "_statement", "_width", "values")

    def __init__(
        self,
        db: sqlite3.Connection,
        table: str,
        columns: Sequence[str] = (),
        shared: Sequence[object] = (),
    ) -> None:
        self.values: list[object] = []
        self._db = db
        self._into = f"{table} ({','.join(columns)})" if columns else table
        width = len(columns) or len(db.execute(f"PRAGMA table_info({table})").fetchall())
        self._shared = shared
        self._width = width - len(shared)
        limit = db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        rows = max(1, min(_ROWS_PER_STATEMENT, limit // width))
        self._block = rows * self._width
        self._statement = self._insert(rows)

    def write(self) -> None:
        """Write the rows that make whole blocks. The others wait for more of them.

        Each number of rows needs a statement of its own, which takes SQLite long to read.
        """
        values, block = self.values, self._block
        if len(values) < block:
            return
        first = 0
        while first + block <= len(values):
            self._db.execute(self._statement, [*self._shared, *values[first : first + block]])
            first += block
        del values[:first]

    def finish(self) -> None:
        """Write all rows that are left."""
        self.write()
        if self.values:
            statement = self._insert(len(self.values) // self._width)
            self._db.execute(statement, [*self._shared, *self.values])
            self.values.clear()

    def _insert(self, rows: int) -> str:
        return _statement(self._into, len(self._shared), self._width, rows)


@lru_cache
def _statement(into: str, shared: int, width: int, rows: int) -> str:
    row = ",".join([*(f"?{i}" for i in range(1, shared + 1)), *["?"] * width])
    return f"INSERT INTO {into} VALUES " + ",".join([f"({row})"] * rows)
