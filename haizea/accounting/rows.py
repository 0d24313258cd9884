"""Rows on their way into a fresh SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

#: Rows in one INSERT. Above this SQLite gains nothing more.
_ROWS_PER_STATEMENT = 200


class Rows:
    """Rows of one table, buffered.

    ``values`` is flat, row after row: whoever adds a row extends it by exactly as many
    values as there are ``columns`` (all of the table's where none are named), without the
    first ``shared`` ones, which rows written together have in common. That, and many rows
    to a statement, costs half of what a tuple per row and ``executemany`` cost.

    Columns that are not named are NULL. Where many are, that pays: Python asks around what
    to do with a ``None``, which takes ten times as long as to write a number.
    """

    __slots__ = ("_db", "_into", "_per_statement", "_shared", "_statements", "_width", "values")

    def __init__(
        self, db: sqlite3.Connection, table: str, columns: Sequence[str] = (), shared: int = 0
    ) -> None:
        self.values: list[object] = []
        self._db = db
        self._into = f"{table} ({','.join(columns)})" if columns else table
        width = len(columns) or len(db.execute(f"PRAGMA table_info({table})").fetchall())
        self._shared = shared
        self._width = width - shared
        limit = db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._per_statement = max(1, min(_ROWS_PER_STATEMENT, limit // width))
        self._statements: dict[int, str] = {}

    def write(self, *shared: object) -> None:
        """Write all rows that are buffered; their first columns are ``shared``."""
        assert len(shared) == self._shared, "a value for each shared column"
        values, width = self.values, self._width
        step = self._per_statement * width
        for first in range(0, len(values), step):
            block = values[first : first + step]
            self._db.execute(self._statement(len(block) // width), [*shared, *block])
        values.clear()

    def _statement(self, rows: int) -> str:
        statement = self._statements.get(rows)
        if statement is None:
            columns = [f"?{i}" for i in range(1, self._shared + 1)] + ["?"] * self._width
            row = "(" + ",".join(columns) + ")"
            statement = f"INSERT INTO {self._into} VALUES " + ",".join([row] * rows)
            if rows == self._per_statement:
                self._statements[rows] = statement
        return statement
