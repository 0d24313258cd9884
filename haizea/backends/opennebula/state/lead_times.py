"""The seconds that VMs take from being deployed to running, as far as past ones tell.

What was seen of a kind is kept as a small window of the latest times. Planned is a bound of
them: a time that the next one stays below with a certainty that is chosen. Pure arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

#: So many of the latest times of a kind count.
MOST_TIMES = 40
#: From so many times on, what was seen of a kind goes before what was seen of all.
ENOUGH = 3
#: From so many times on, a host counts by itself.
ENOUGH_OF_HOST = 5
#: By this part, over their number, what is planned exceeds few times at least.
_CAUTION = 0.5
#: Sizes that differ by this factor tell what part of a time does not depend on the size.
_WIDE = 4
#: So many kinds are remembered of each sort, those that were seen last.
_MOST_KINDS = 200


def bound(seen: Sequence[float], certainty: float) -> float:
    """Return what the next value stays below with this certainty, if it is like those ``seen``.

    The rank that makes it so, where there are enough of them; else the greatest and as much
    more as values lie apart on average, and a margin that vanishes with their number. There is
    one value at least. O(n log n).
    """
    ordered = sorted(seen)
    count = len(ordered)
    rank = ceil(certainty * (count + 1))
    if rank <= count:
        return ordered[rank - 1]
    greatest = ordered[-1]
    beyond = greatest + (greatest - ordered[0]) / (count - 1) if count > 1 else greatest
    return max(beyond, greatest * (1 + _CAUTION / count))


class Timed(NamedTuple):
    """The time that something took, of ``size_mb`` (0 where its size does not matter)."""

    size_mb: int
    seconds: float


class Figures(NamedTuple):
    """A summary of a kind: how often it was seen, the median, and what is planned, in seconds.

    For what has a size, the seconds are those of ``size_mb``.
    """

    kind: str
    times: int
    median_seconds: float
    planned_seconds: float
    size_mb: int = 0


class Latest:
    """The latest times of one kind of operation."""

    def __init__(self, seen: Iterable[Timed] = ()) -> None:
        self._seen: deque[Timed] = deque(seen, maxlen=MOST_TIMES)

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Timed]:
        return iter(self._seen)

    def note(self, seen: Timed) -> None:
        """Note how long it took once."""
        self._seen.append(seen)

    def seconds(self, certainty: float, size_mb: int = 0) -> float:
        """The time that one of this size takes at most, with this certainty."""
        fixed, each_mb = self._fit()
        return (fixed + each_mb * size_mb) * bound(self._ratios(fixed, each_mb), certainty)

    def figures(self, kind: str, certainty: float) -> Figures:
        """Return its summary, for the size in the middle of those seen."""
        size_mb = sorted(seen.size_mb for seen in self._seen)[len(self._seen) // 2]
        fixed, each_mb = self._fit()
        usual, ratios = fixed + each_mb * size_mb, sorted(self._ratios(fixed, each_mb))
        median = usual * ratios[len(ratios) // 2]
        return Figures(kind, len(self), median, usual * bound(ratios, certainty), size_mb)

    def _ratios(self, fixed: float, each_mb: float) -> list[float]:
        """Each time over the one that is usual for its size."""
        return [seen.seconds / max(fixed + each_mb * seen.size_mb, 1e-9) for seen in self._seen]

    def _fit(self) -> tuple[float, float]:
        """Seconds at any size, and seconds for each MB: least squares of the relative error.

        Sizes that hardly differ say nothing of a fixed part: time goes with the size then.
        """
        weights = [1 / max(seen.seconds, 1.0) ** 2 for seen in self._seen]
        parts = list(zip(weights, self._seen, strict=True))
        total = sum(weights)
        sum_x = sum(w * s.size_mb for w, s in parts)
        sum_y = sum(w * s.seconds for w, s in parts)
        sum_xx = sum(w * s.size_mb**2 for w, s in parts)
        sum_xy = sum(w * s.size_mb * s.seconds for w, s in parts)
        if sum_xx == 0:
            return sum_y / total, 0.0
        sizes = [seen.size_mb for seen in self._seen]
        if len(sizes) >= ENOUGH_OF_HOST and max(sizes) >= _WIDE * min(sizes):
            spread = total * sum_xx - sum_x**2
            each_mb = (total * sum_xy - sum_x * sum_y) / spread
            fixed = (sum_y - each_mb * sum_x) / total
            if fixed >= 0 and each_mb > 0:
                return fixed, each_mb
        return 0.0, sum_xy / sum_xx


class Kinds:
    """The latest times by kind."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        self._windows = {
            kind: Latest(Timed(int(size), float(seconds)) for size, seconds in pairs)
            for kind, pairs in (kept or {}).items()
        }

    def note(self, kind: str, seen: Timed) -> None:
        """Note how long one of a kind took."""
        window = self._windows.pop(kind, None) or Latest()
        window.note(seen)
        self._windows[kind] = window
        if len(self._windows) > _MOST_KINDS:
            del self._windows[next(iter(self._windows))]

    def get(self, kind: str, least: int = 1) -> Latest | None:
        """Return what was seen of a kind, if it was seen so often."""
        window = self._windows.get(kind)
        return window if window is not None and len(window) >= least else None

    def having(self, least: int) -> Iterator[tuple[str, Latest]]:
        """Find the kinds that were seen so often, with what was seen of each."""
        return ((kind, found) for kind, found in self._windows.items() if len(found) >= least)

    def figures(self, certainty: float) -> list[Figures]:
        """Return the summaries of all kinds, in the order of their names."""
        return [self._windows[k].figures(k, certainty) for k in sorted(self._windows)]

    def kept(self) -> dict[str, list[Timed]]:
        """Return all that was seen, to be written down."""
        return {kind: list(window) for kind, window in self._windows.items()}
