"""Rows on their way into a fresh SQLite file."""

from __future__ import annotations

import sqlite3

#: Rows in one INSERT. Above this SQLite gains nothing more.
_ROWS_PER_STATEMENT = 200


class Rows:
    """Rows of one table, buffered.

    ``values`` is flat, row after row: whoever adds a row extends it by exactly as many
    values as the table has columns. That, and many rows to a statement, costs half of
    what a tuple per row and ``executemany`` cost.
    """

    __slots__ = ("_db", "_per_statement", "_statements", "_table", "_width", "values")

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self.values: list[object] = []
        self._db = db
        self._table = table
        self._width = len(db.execute(f"PRAGMA table_info({table})").fetchall())
        limit = db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._per_statement = max(1, min(_ROWS_PER_STATEMENT, limit // self._width))
        self._statements: dict[int, str] = {}

    def write(self) -> None:
        """Write all rows that are buffered."""
        values, width = self.values, self._width
        step = self._per_statement * width
        for first in range(0, len(values), step):
            block = values[first : first + step]
            self._db.execute(self._statement(len(block) // width), block)
        values.clear()

    def _statement(self, rows: int) -> str:
        statement = self._statements.get(rows)
        if statement is None:
            row = "(" + ",".join("?" * self._width) + ")"
            statement = f"INSERT INTO {self._table} VALUES " + ",".join([row] * rows)
            if rows == self._per_statement:
                self._statements[rows] = statement
        return statement
