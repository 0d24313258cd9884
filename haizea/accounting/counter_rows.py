"""The values of counters on their way into the results file."""

from __future__ import annotations

import sqlite3
from typing import Final

from haizea.accounting import schema
from haizea.accounting.counter import Counter
from haizea.accounting.rows import Rows

#: Of so many counters, rows that make no whole block wait for more; of others they do not.
_MOST_WAITING: Final = 100


class CounterRows:
    """Fills the table ``counters``; the rows of each counter are in order."""

    __slots__ = ("_db", "_of_leases", "_rows")

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rows: dict[str, Rows] = {}
        # Counters of which the last values were of leases.
        self._of_leases: set[str] = set()

    def take(self, counter: Counter) -> None:
        """Take the values that the counter has, and write what makes whole blocks of rows."""
        of_leases = counter.names_leases
        values = counter.drain()
        if not values:
            return
        rows = self._of(counter.name, of_leases)
        rows.values += values
        if len(self._rows) <= _MOST_WAITING:
            rows.write()
        else:
            rows.finish()

    def finish(self) -> None:
        """Write all that is left."""
        for rows in self._rows.values():
            rows.finish()

    def _of(self, name: str, of_leases: bool) -> Rows:
        rows = self._rows.get(name)
        if rows is not None:
            if (name in self._of_leases) == of_leases:
                return rows
            rows.finish()
        if of_leases:
            columns = schema.COUNTER_COLUMNS
            self._of_leases.add(name)
        else:
            columns = schema.LEVEL_COLUMNS
            self._of_leases.discard(name)
        rows = self._rows[name] = Rows(self._db, "counters", columns, (name,))
        return rows
