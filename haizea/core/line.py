"""The waiting line: leases in the order of the queue, found by what they need.

Leases that need equally many equal nodes stand in a file of their own, too. So when few
hosts are free in front of a long queue, those that need more are not even looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from haizea.core.plan import Key, Lease
from haizea.core.resources import Capacity

_Entry = tuple[Key, Lease]
_Kind = tuple[Capacity | None, int]


class Line:
    """Waiting leases. Their keys must not change while they stand here."""

    __slots__ = ("_all", "_files")

    def __init__(self) -> None:
        self._all: list[_Entry] = []
        self._files: dict[_Kind, list[_Entry]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Lease]:
        """All leases in order; the one that was answered may leave meanwhile."""
        everyone, i = self._all, 0
        while i < len(everyone):
            entry = everyone[i]
            yield entry[1]
            if i < len(everyone) and everyone[i] is entry:
                i += 1
            else:
                i = bisect_right(everyone, entry[0], key=_key)

    def __contains__(self, lease: Lease) -> bool:
        return _find(self._all, lease) is not None

    def add(self, lease: Lease) -> None:
        """Let a lease stand at its place. O(log n) comparisons."""
        entry = (lease.key, lease)
        insort(self._all, entry)
        insort(self._files.setdefault(_kind(lease), []), entry)

    def discard(self, lease: Lease) -> None:
        """Let it go, if it stands here."""
        i = _find(self._all, lease)
        if i is None:
            return
        del self._all[i]
        file = self._files[_kind(lease)]
        j = _find(file, lease)
        assert j is not None, "who stands in line stands in a file"
        del file[j]
        if not file:
            del self._files[_kind(lease)]

    def behind(
        self, key: Key | None, may_fit: Callable[[Capacity | None, int], bool]
    ) -> Iterator[Lease]:
        """The leases behind ``key`` (``None``: all), in order, that ``may_fit`` (size, count).

        ``may_fit`` is asked again as leases are taken, and may only become less; the lease
        that was answered may leave meanwhile. O(kinds + log kinds for each lease).
        """
        heads: list[tuple[Key, _Kind]] = []
        for kind, file in self._files.items():
            if may_fit(*kind):
                first = 0 if key is None else bisect_right(file, key, key=_key)
                if first < len(file):
                    heads.append((file[first][0], kind))
        heads.sort()
        while heads:
            head, kind = heappop(heads)
            file = self._files.get(kind, [])
            if not may_fit(*kind):
                continue
            i = bisect_left(file, head, key=_key)
            if i < len(file) and file[i][0] == head:
                yield file[i][1]
                file = self._files.get(kind, [])
                i = bisect_right(file, head, key=_key)
            if i < len(file):
                heappush(heads, (file[i][0], kind))

    def check(self) -> None:
        """Assert that everyone stands in order, in line and in one file."""
        assert all(a[0] < b[0] for a, b in zip(self._all, self._all[1:], strict=False))
        assert sorted(e for file in self._files.values() for e in file) == self._all
        for kind, file in self._files.items():
            assert all(_kind(lease) == kind for _, lease in file)


def _kind(lease: Lease) -> _Kind:
    return lease.demand.size, lease.demand.count


def _key(entry: _Entry) -> Key:
    return entry[0]


def _find(entries: list[_Entry], lease: Lease) -> int | None:
    i = bisect_left(entries, lease.key, key=_key)
    return i if i < len(entries) and entries[i][1] is lease else None
