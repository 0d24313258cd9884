"""The waiting line: leases in the order of the queue, found by what they need.

Leases that need equally many equal nodes for about as long stand in a file of their own,
too. So when few hosts are free in front of a long queue, those that need more hosts, or
hosts for longer, are not even looked at. A lease gets into a file when files are looked at: most
leases have started by then.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from sortedcontainers import SortedDict

from haizea.core.model.resources import Capacity
from haizea.core.placement.plan import Key, Lease

_Entry = tuple[Key, Lease]
_File = list[_Entry]


class Line:
    """Waiting leases. Their keys must not change while they stand here."""

    __slots__ = ("_all", "_blocks", "_unfiled")

    def __init__(self) -> None:
        self._all: _File = []
        # By node size (``None``: nodes differ), then by node count, then by how long
        # (see :func:`_class`).
        self._blocks: dict[Capacity | None, SortedDict[int, dict[int, _File]]] = {}
        # Those that stand in no file yet, by id.
        self._unfiled: dict[int, Lease] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Lease]:
        """All leases in order; the one that was answered may leave meanwhile."""
        everyone, i = self._all, 0
        while i < len(everyone):
            entry = everyone[i]
            yield entry[1]
            if i < len(everyone) and everyone[i] == entry:
                i += 1
            else:
                i = bisect_left(everyone, entry)

    def everyone(self) -> list[Lease]:
        """All leases in order, as they stand here now; quicker than one by one."""
        return [entry[1] for entry in self._all]

    def __contains__(self, lease: Lease) -> bool:
        return _find(self._all, lease) is not None

    def add(self, lease: Lease) -> None:
        """Let a lease stand at its place. O(log n) comparisons."""
        insort(self._all, (lease.key, lease))
        self._unfiled[lease.id] = lease

    def discard(self, lease: Lease) -> None:
        """Let it go, if it stands here."""
        i = _find(self._all, lease)
        if i is None:
            return
        del self._all[i]
        if self._unfiled.pop(lease.id, None) is not None:
            return
        block, count = self._blocks[lease.demand.size], lease.demand.count
        files = block[count]
        file = files[_class(lease)]
        j = _find(file, lease)
        assert j is not None, "who stands in line stands in a file"
        del file[j]
        if not file:
            del files[_class(lease)]
        if not files:
            del block[count]

    def after(self, key: Key | None) -> Lease | None:
        """Return the first lease behind ``key``, or of all without a key; else ``None``."""
        everyone, i = self._all, 0
        if key is not None:
            i = bisect_left(everyone, (key,))
            if i < len(everyone) and everyone[i][0] == key:
                i += 1
        return everyone[i][1] if i < len(everyone) else None

    def done_within(self, key: Key, lasts: Callable[[int], int]) -> Iterator[Lease]:
        """Yield in order the leases behind ``key`` that would be done while there is room for them.

        That is, within ``lasts`` of their count, in seconds. It may become less meanwhile, and the
        lease that was answered may leave. O(files of those counts + their log for each lease).
        """
        self._file()
        heads: list[tuple[Key, int, _File, Lease]] = []
        for block in self._blocks.values():
            for count in block:
                seconds = lasts(count)
                if not seconds:
                    break
                for span, file in block[count].items():
                    if _least(span) <= seconds:
                        _push_short(heads, file, bisect_left(file, (key,)), key, count, seconds)
        heapify(heads)
        while heads:
            head, count, file, lease = heappop(heads)
            seconds = lasts(count)
            if not seconds:
                continue
            if lease.remaining <= seconds:
                yield lease
                seconds = lasts(count)
            _push_short(heads, file, bisect_left(file, (head,)), head, count, seconds)

    def behind(
        self,
        key: Key,
        free: Callable[[Capacity], int],
        spare: Callable[[Capacity], int],
        length: int,
        may_return: Callable[[Lease], bool] = bool,
    ) -> Iterator[Lease]:
        """The leases behind ``key``, in order, that may fit.

        That is, their count is at most ``free`` of their size; and they are done within
        ``length`` seconds, or can be suspended, or their count is at most ``spare``. Those that
        are bound to hosts are asked whether they ``may_return`` there, too. What is free may
        become less meanwhile, and the lease that was answered may leave.
        O(files that may fit + their log for each lease).
        """
        self._file()
        heads: list[tuple[Key, int, _File, Lease]] = []
        for size, block in self._blocks.items():
            most, longer = (0, 0) if size is None else (free(size), spare(size))
            for count in block:
                if count > most and size is not None:
                    break
                for span, file in block[count].items():
                    if size is None or count <= longer or _least(span) <= length:
                        first = bisect_left(file, (key,))
                        _push(heads, file, first, key, count, longer, length, may_return)
        heapify(heads)
        while heads:
            head, count, file, lease = heappop(heads)
            size = lease.demand.size
            if size is not None and count > free(size):
                continue
            yield lease
            longer = spare(size) if size is not None else 0
            first = bisect_left(file, (head,))
            _push(heads, file, first, head, count, longer, length, may_return)

    def check(self) -> None:
        """Assert that everyone stands in order, in line and in one file."""
        self._file()
        assert all(a[0] < b[0] for a, b in zip(self._all, self._all[1:], strict=False))
        filed: _File = []
        for size, block in self._blocks.items():
            for count, files in block.items():
                for span, file in files.items():
                    assert all(_class(x) == span and x.demand.count == count for _, x in file)
                    assert all(x.demand.size == size for _, x in file)
                    filed += file
        assert sorted(filed) == self._all

    def _file(self) -> None:
        """Let everyone stand in a file."""
        for lease in self._unfiled.values():
            block = self._blocks.get(lease.demand.size)
            if block is None:
                block = self._blocks[lease.demand.size] = SortedDict()
            files = block.get(lease.demand.count)
            if files is None:
                files = block[lease.demand.count] = {}
            insort(files.setdefault(_class(lease), []), (lease.key, lease))
        self._unfiled.clear()


def _push(
    heads: list[tuple[Key, int, _File, Lease]],
    file: _File,
    first: int,
    behind: Key,
    count: int,
    longer: int,
    length: int,
    may_return: Callable[[Lease], bool],
) -> None:
    """Add the first lease of a file from ``first`` on, behind ``behind``, that may fit."""
    for i in range(first, len(file)):
        key, lease = file[i]
        if key == behind:
            continue
        if (lease.flexible or count <= longer or lease.remaining <= length) and (
            lease.bound is None or may_return(lease)
        ):
            heappush(heads, (key, count, file, lease))
            return


def _push_short(
    heads: list[tuple[Key, int, _File, Lease]],
    file: _File,
    first: int,
    behind: Key,
    count: int,
    seconds: int,
) -> None:
    """Add the first lease of a file from ``first`` on, behind ``behind``, done within that time."""
    for i in range(first, len(file)):
        key, lease = file[i]
        if lease.remaining <= seconds and key != behind:
            heappush(heads, (key, count, file, lease))
            return


def _class(lease: Lease) -> int:
    """0 for leases that can be suspended, else how long they need, in powers of two."""
    return 0 if lease.flexible else lease.remaining.bit_length()


def _least(span: int) -> int:
    """The shortest length of a class."""
    return 1 << (span - 1) if span else 0


def _find(entries: _File, lease: Lease) -> int | None:
    i = bisect_left(entries, (lease.key,))
    return i if i < len(entries) and entries[i][1] is lease else None
