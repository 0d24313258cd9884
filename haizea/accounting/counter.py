"""A quantity over time, with its two averages."""

from __future__ import annotations


class Counter:
    """A quantity over time: a level that holds until it changes, or a value per lease.

    With every value come the *running average* of the values so far, and the *weighted
    average*: each value weighted by how long it held, from the first value up to now (the
    value itself while no time has passed). Both are exact for whole numbers, however many
    there are, and take constant time and memory.
    """

    __slots__ = ("_area", "_count", "_rows", "_since", "_start", "_total", "name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        #: The latest value; ``None`` before the first.
        self.value: float | None = None
        self._rows: list[object] = []
        self._count = 0
        self._total: float = 0
        self._area: float = 0
        self._start = 0
        self._since = 0

    def set(self, time: int, level: float) -> None:
        """From ``time`` on the level is this; says nothing new if it is so already."""
        if level != self.value:
            self.add(time, level)

    def add(self, time: int, value: float, lease: int | None = None) -> None:
        """One more value, of this lease if any; ``time`` never goes back."""
        if self.value is None:
            self._start = time
        else:
            assert time >= self._since, "time does not go back"
            self._area += self.value * (time - self._since)
        self._since = time
        self.value = value
        self._count += 1
        self._total += value
        passed = time - self._start
        self._rows += (
            self.name,
            time,
            lease,
            value,
            self._total / self._count,
            self._area / passed if passed else value,
        )

    def average(self) -> float | None:
        """The running average of the values; ``None`` while there is none."""
        return self._total / self._count if self._count else None

    def weighted(self, time: int) -> float | None:
        """The weighted average up to ``time``; ``None`` while there is no value."""
        if self.value is None:
            return None
        passed = time - self._start
        if not passed:
            return self.value
        return (self._area + self.value * (time - self._since)) / passed

    def drain(self) -> list[object]:
        """The rows since they were last asked for: counter, time, lease, value, average,
        weighted average, and so on, one row after the other in one flat list.
        """
        rows, self._rows = self._rows, []
        return rows
