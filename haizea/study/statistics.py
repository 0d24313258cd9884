"""Means with confidence intervals, and distributions of what is too much to be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
_T = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
_NORMAL = 1.959964


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of ``count`` values, and the 95 % confidence interval around it.

    ``low`` and ``high`` are the mean itself where there is one value only.
    """

    mean: float
    low: float
    high: float
    count: int


def interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, with its interval after Student's t."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, mean, mean, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = t_quantile(count - 1) * math.sqrt(variance / count)
    return Interval(mean, mean - half, mean + half, count)


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with so many degrees of freedom, to four digits."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    # The first terms of the expansion of Cornish and Fisher.
    z = _NORMAL
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


class Distribution:
    """The distribution of values from 0 on, in constant memory.

    Values are counted in bins that are each some 2.3 % wider than the one before, so a
    quantile is that exact; zeros, and what is below ``least``, are one bin.
    """

    _PER_DECADE = 100

    def __init__(self, least: float) -> None:
        self._least = least
        self._counts: dict[int, int] = {}
        self.count = 0

    def add(self, values: Sequence[float]) -> None:
        """Take values in."""
        for value in values:
            key = 0
            if value >= self._least:
                key = 1 + int(math.log10(value / self._least) * self._PER_DECADE)
            self._counts[key] = self._counts.get(key, 0) + 1
        self.count += len(values)

    def shares(self) -> list[tuple[float, float]]:
        """Upper ends of bins, rising, each with the share of values that are not above it."""
        found = []
        below = 0
        for key in sorted(self._counts):
            below += self._counts[key]
            found.append((self._least * 10 ** (key / self._PER_DECADE), below / self.count))
        return found
