"""The disk images on the hosts: caches, and private copies where there are none.

With caches, an image that arrived stays on its host until another one needs the space;
what leases need is never dropped. Without them, or where the cache is too small for what
is needed, a lease's copy goes when the lease does.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.lease import DiskImage
from haizea.core.model.records import CopyRecord


class _Copy(NamedTuple):
    """An image on some host; ``needed_by`` are leases that run from it or will."""

    image: DiskImage
    used_at: int
    needed_by: frozenset[int]
    cached: bool


class ImageStore:
    """The images that each host has. ``cache_mb`` is each host's cache, 0 for none.

    What is the same on many hosts is kept once: an image that a multicast took to all of them
    is on most of them one copy, until a lease starts from it on a few.
    """

    def __init__(self, cache_mb: int) -> None:
        self._cache_mb = cache_mb
        #: By what copies are called, the hosts of those that are alike.
        self._copies: dict[str, dict[_Copy, HostSet]] = {}
        #: What all copies on a host take, and what those in its cache take of it, MB.
        self._used_mb: dict[int, int] = {}
        self._cached_mb: dict[int, int] = {}
        self._hosts_with: dict[str, HostSet] = {}
        self._needs: dict[int, HostSet] = {}
        #: What the copies that a lease needs are called, where each has its own.
        self._names: dict[int, set[str]] = {}
        #: Hosts whose use of disk space changed since :meth:`changes` was asked last.
        self._changed: HostSet = 0

    def hosts_with(self, image: DiskImage) -> HostSet:
        """Hosts where a lease that needs the image can start at once."""
        return self._hosts_with.get(image.name, 0) if self._cache_mb else 0

    def arrived(self, image: DiskImage, hosts: HostSet, lease_ids: set[int], now: int) -> None:
        """The image is on ``hosts`` now, for these leases."""
        name = self._name(image, lease_ids)
        new = hosts & ~self._add(name, hosts, lease_ids)
        if new:
            cached = self._make_space(new, image.size_mb)
            needed_by = frozenset(lease_ids)
            self._put(name, _Copy(image, now, needed_by, True), cached)
            self._put(name, _Copy(image, now, needed_by, False), new & ~cached)
            self._changed |= new
        for lease_id in lease_ids:
            self._needs[lease_id] = self._needs.get(lease_id, 0) | hosts
            self._call(name, lease_id)

    def need(self, image: DiskImage, hosts: HostSet, lease_id: int) -> None:
        """A lease will use the copies that are on ``hosts`` already: they must stay."""
        self._add(image.name, hosts, {lease_id})
        self._needs[lease_id] = self._needs.get(lease_id, 0) | hosts

    def kept_for(self, lease_id: int) -> HostSet:
        """Hosts where a copy stays because the lease needs it or may."""
        return self._needs.get(lease_id, 0)

    def share(self, lease_id: int, other_id: int) -> None:
        """A lease may use the copies that stay for another one, of the same image, as well."""
        hosts = self._needs.get(other_id, 0)
        for name, copies in self._copies.items():
            theirs = 0
            for copy, where in copies.items():
                if other_id in copy.needed_by:
                    theirs |= where
            self._add(name, hosts & theirs, {lease_id})
        self._needs[lease_id] = self._needs.get(lease_id, 0) | hosts
        for name in self._names.get(other_id, ()):
            self._call(name, lease_id)

    def done(self, image: DiskImage, lease_id: int, now: int, but: HostSet = 0) -> None:
        """A lease needs its image no more, ``but`` on these hosts."""
        needs = self._needs.pop(lease_id, 0)
        # With caches they are called as the image is; without, as one of those who share it.
        names = (image.name,) if self._cache_mb else tuple(self._names.pop(lease_id, ()))
        if needs & but:
            self._needs[lease_id] = needs & but
            for name in names:
                self._call(name, lease_id)
        for name in names:
            for copy, where in self._on(name, needs & ~but):
                if lease_id in copy.needed_by:
                    needed_by = copy.needed_by - {lease_id}
                    if needed_by or copy.cached:
                        self._turn(
                            name, copy, where, copy._replace(needed_by=needed_by, used_at=now)
                        )
                    else:
                        self._drop(name, copy, where)

    def used_mb(self, host: int) -> int:
        """The disk space that images take on a host."""
        return self._used_mb.get(host, 0)

    def changes(self) -> list[tuple[int, int]]:
        """The hosts whose used disk space changed since this was asked last, and to how much, MB.

        In the order of hosts.
        """
        changed, self._changed = self._changed, 0
        used_mb = self._used_mb
        return [(host, used_mb.get(host, 0)) for host in hosts_in(changed)] if changed else []

    def records(self) -> tuple[CopyRecord, ...]:
        """Every copy on every host."""
        found = [
            (host, name, copy)
            for name, copies in self._copies.items()
            for copy, where in copies.items()
            for host in hosts_in(where)
        ]
        return tuple(
            CopyRecord(
                host=host,
                image=copy.image,
                needed_by=tuple(sorted(copy.needed_by)),
                used_at=copy.used_at,
                cached=copy.cached,
            )
            for host, _, copy in sorted(found, key=lambda one: one[:2])
        )

    def restore(self, record: CopyRecord) -> None:
        """A copy is on its host as it was."""
        needed_by = frozenset(record.needed_by)
        name = self._name(record.image, needed_by)
        copy = _Copy(record.image, record.used_at, needed_by, record.cached)
        self._put(name, copy, 1 << record.host)
        for lease_id in record.needed_by:
            self._needs[lease_id] = self._needs.get(lease_id, 0) | 1 << record.host
            self._call(name, lease_id)

    def _name(self, image: DiskImage, lease_ids: Set[int]) -> str:
        """Return what a copy is called that comes for these leases."""
        return image.name if self._cache_mb else f"{image.name} of {min(lease_ids)}"

    def _call(self, name: str, lease_id: int) -> None:
        """Note what a copy is called that a lease needs."""
        if not self._cache_mb:
            self._names.setdefault(lease_id, set()).add(name)

    def _on(self, name: str, hosts: HostSet) -> list[tuple[_Copy, HostSet]]:
        """Copies of a name on some of these hosts, and on which."""
        copies = self._copies.get(name, {})
        return [(copy, where & hosts) for copy, where in copies.items() if where & hosts]

    def _add(self, name: str, hosts: HostSet, lease_ids: Set[int]) -> HostSet:
        """Have copies stay for these leases, too; answers which of the hosts have one."""
        have = 0
        for copy, where in self._on(name, hosts):
            have |= where
            self._turn(name, copy, where, copy._replace(needed_by=copy.needed_by | lease_ids))
        return have

    def _make_space(self, hosts: HostSet, size_mb: int) -> HostSet:
        """Drop least recently used images so that as much fits the caches; answers where it does.

        O(hosts, different copies); hosts that lack as much and drop the same take one step.
        """
        cache_mb, cached_mb = self._cache_mb, self._cached_mb
        fits, lacking = 0, dict[int, HostSet]()
        for host in hosts_in(hosts):
            lacks_mb = size_mb - cache_mb + cached_mb.get(host, 0)
            if lacks_mb > 0:
                lacking[lacks_mb] = lacking.get(lacks_mb, 0) | 1 << host
            else:
                fits |= 1 << host
        dropped: list[tuple[str, _Copy, HostSet]] = []
        for name, copy, where in self._idle() if lacking else ():
            less = dict[int, HostSet]()
            for lacks_mb, those in lacking.items():
                with_it = those & where
                if with_it:
                    dropped.append((name, copy, with_it))
                    left_mb = lacks_mb - copy.image.size_mb
                    less[left_mb] = less.get(left_mb, 0) | with_it
                if those & ~where:
                    less[lacks_mb] = less.get(lacks_mb, 0) | (those & ~where)
            fits |= sum(those for lacks_mb, those in less.items() if lacks_mb <= 0)
            lacking = {lacks_mb: those for lacks_mb, those in less.items() if lacks_mb > 0}
            if not lacking:
                break
        for name, copy, where in dropped:
            # Where all that nobody needs is not enough, it stays.
            if where & fits:
                self._drop(name, copy, where & fits)
        return fits

    def _idle(self) -> list[tuple[str, _Copy, HostSet]]:
        """Copies in caches that nobody needs, and where, the least recently used first."""
        idle = [
            (name, copy, where)
            for name, copies in self._copies.items()
            for copy, where in copies.items()
            if copy.cached and not copy.needed_by
        ]
        return sorted(idle, key=lambda one: (one[1].used_at, one[0]))

    def _turn(self, name: str, copy: _Copy, hosts: HostSet, into: _Copy) -> None:
        """Have copies on these hosts be alike others than before."""
        if copy != into:
            copies = self._copies[name]
            self._take(copies, copy, hosts)
            copies[into] = copies.get(into, 0) | hosts

    def _take(self, copies: dict[_Copy, HostSet], copy: _Copy, hosts: HostSet) -> None:
        left = copies[copy] & ~hosts
        if left:
            copies[copy] = left
        else:
            del copies[copy]

    def _put(self, name: str, copy: _Copy, hosts: HostSet) -> None:
        if not hosts:
            return
        copies = self._copies.setdefault(name, {})
        copies[copy] = copies.get(copy, 0) | hosts
        self._count(copy, hosts, copy.image.size_mb)
        if copy.cached:
            image = copy.image.name
            self._hosts_with[image] = self._hosts_with.get(image, 0) | hosts

    def _drop(self, name: str, copy: _Copy, hosts: HostSet) -> None:
        copies = self._copies[name]
        self._take(copies, copy, hosts)
        if not copies:
            del self._copies[name]
        self._count(copy, hosts, -copy.image.size_mb)
        if copy.cached:
            self._hosts_with[copy.image.name] &= ~hosts
        self._changed |= hosts

    def _count(self, copy: _Copy, hosts: HostSet, size_mb: int) -> None:
        used_mb, cached_mb = self._used_mb, self._cached_mb
        for host in hosts_in(hosts):
            used_mb[host] = used_mb.get(host, 0) + size_mb
            if copy.cached:
                cached_mb[host] = cached_mb.get(host, 0) + size_mb

    def check(self) -> None:
        """Assert that no cache is over its size, that sums are right and that nothing stays."""
        used_mb, cached_mb = dict[int, int](), dict[int, int]()
        for name, copies in self._copies.items():
            there = 0
            for copy, where in copies.items():
                assert where, "a copy is nowhere"
                assert not there & where, f"a host has {name} twice"
                there |= where
                assert copy.cached or copy.needed_by, "a copy stays that nobody needs"
                needs = [where & ~self._needs.get(lease_id, 0) for lease_id in copy.needed_by]
                assert not any(needs), "a copy stays for a lease that is done with it"
                for host in hosts_in(where):
                    used_mb[host] = used_mb.get(host, 0) + copy.image.size_mb
                    if copy.cached:
                        cached_mb[host] = cached_mb.get(host, 0) + copy.image.size_mb
        for host in self._used_mb:
            assert cached_mb.get(host, 0) <= self._cache_mb, "a cache holds too much"
            known_mb = self._cached_mb.get(host, 0)
            assert cached_mb.get(host, 0) == known_mb, "what is in a cache is miscounted"
            assert used_mb.get(host, 0) == self._used_mb[host], "what copies take is miscounted"
