"""A quantity over time, with its two averages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, chain, repeat
from operator import mul, sub, truediv

#: Whole numbers stay whole, which a ``float`` in compiled code would not let them.
Number = int | float


class Counter:
    """A quantity over time: a level that holds until it changes, or a value per lease.

    With every value come the *running average* of the values so far, and the *weighted
    average*: each value weighted by how long it held, from the first value up to now (the
    value itself while no time has passed). Both are exact for whole numbers, however many
    there are, and take constant time and memory once drained.

    Averages are worked out for many values at a time: it is several times as fast.
    """

    __slots__ = (
        "_area",
        "_count",
        "_held",
        "_latest",
        "_leases",
        "_of_leases",
        "_since",
        "_start",
        "_times",
        "_total",
        "_values",
        "name",
        "value",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        #: The latest value; ``None`` before the first.
        self.value: Number | None = None
        # What came since the last draining; the rest of it all is in the sums below.
        self._times: list[int] = []
        self._values: list[Number] = []
        self._leases: list[int | None] = []
        self._of_leases = False
        self._count = 0
        self._total: Number = 0
        #: The area below the values up to ``_since``, when ``_held`` began to hold.
        self._area: Number = 0
        self._held: Number = 0
        self._since = 0
        self._start = 0
        self._latest = 0

    def set(self, time: int, level: Number) -> None:
        """From ``time`` on the level is this; says nothing new if it is so already."""
        if level != self.value:
            self.add(time, level)

    def add(self, time: int, value: Number, lease: int | None = None) -> None:
        """One more value, of this lease if any; ``time`` never goes back."""
        if self.value is None:
            self._start = self._since = self._latest = time
        assert time >= self._latest, "time does not go back"
        self.value = value
        self._latest = time
        self._times.append(time)
        self._values.append(value)
        self._leases.append(lease)
        if lease is not None:
            self._of_leases = True

    def average(self) -> Number | None:
        """The running average of the values; ``None`` while there is none."""
        count = self._count + len(self._values)
        *_, total = accumulate(self._values, initial=self._total)
        return total / count if count else None

    def weighted(self, time: int) -> Number | None:
        """The weighted average up to ``time``; ``None`` while there is no value."""
        if self.value is None:
            return None
        passed = time - self._start
        if not passed:
            return self.value
        *_, area = self._areas([*self._times, time])
        return area / passed

    @property
    def names_leases(self) -> bool:
        """True if any value that was not drained yet is of a lease."""
        return self._of_leases

    def drain(self) -> list[object]:
        """The rows since they were last asked for, one after the other in one flat list.

        A row is time, lease (where :attr:`names_leases`), value, average and weighted average.
        """
        times, values = self._times, self._values
        if not times:
            return []
        totals = list(accumulate(values, initial=self._total))[1:]
        counts = range(self._count + 1, self._count + len(values) + 1)
        averages = map(truediv, totals, counts)
        areas = self._areas(times)
        start = self._start
        fresh = next((i for i, time in enumerate(times) if time != start), len(times))
        passed = map(sub, times[fresh:], repeat(start))
        weighted = chain(values[:fresh], map(truediv, areas[fresh:], passed))
        columns: list[Iterable[object]] = [times, values, averages, weighted]
        if self._of_leases:
            columns.insert(1, self._leases)
        flat = list(chain.from_iterable(zip(*columns, strict=False)))
        self._count, self._total = counts[-1], totals[-1]
        self._area, self._since, self._held = areas[-1], times[-1], values[-1]
        self._times, self._values, self._leases = [], [], []
        self._of_leases = False
        return flat

    def _areas(self, times: list[int]) -> list[Number]:
        """The area below the values up to each of these times, the first few being ``_times``."""
        held = chain((self._held,), self._values)
        steps = map(sub, times, chain((self._since,), times))
        return list(accumulate(map(mul, held, steps), initial=self._area))[1:]
