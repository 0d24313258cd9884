"""The disk images on the hosts: caches, and private copies where there are none.

With caches, an image that arrived stays on its host until another one needs the space;
what leases need is never dropped. Without them, or where the cache is too small for what
is needed, a lease's copy goes when the lease does.
"""

from __future__ import annotations

from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.lease import DiskImage
from haizea.core.model.records import CopyRecord


class _Copy:
    """An image on one host; ``needed_by`` are leases that run from it or will."""

    __slots__ = ("cached", "image", "needed_by", "used_at")

    def __init__(self, image: DiskImage, used_at: int) -> None:
        self.image = image
        self.needed_by: set[int] = set()
        self.used_at = used_at
        self.cached = False


class ImageStore:
    """The images that each host has. ``cache_mb`` is each host's cache, 0 for none."""

    def __init__(self, cache_mb: int) -> None:
        self._cache_mb = cache_mb
        self._copies: dict[int, dict[str, _Copy]] = {}
        #: What all copies on a host take, and what those in its cache take of it, MB.
        self._used_mb: dict[int, int] = {}
        self._cached_mb: dict[int, int] = {}
        self._hosts_with: dict[str, HostSet] = {}
        self._needs: dict[int, HostSet] = {}
        #: What the copies that a lease needs are called, where each has its own.
        self._names: dict[int, set[str]] = {}
        #: Hosts whose use of disk space changed since :meth:`changes` was asked last.
        self._changed: set[int] = set()

    def hosts_with(self, image: DiskImage) -> HostSet:
        """Hosts where a lease that needs the image can start at once."""
        return self._hosts_with.get(image.name, 0) if self._cache_mb else 0

    def arrived(self, image: DiskImage, hosts: HostSet, lease_ids: set[int], now: int) -> None:
        """The image is on ``hosts`` now, for these leases."""
        name = self._name(image, lease_ids)
        for host in hosts_in(hosts):
            copy = self._copies.setdefault(host, {}).get(name)
            if copy is None:
                copy = _Copy(image, now)
                copy.cached = self._make_space(host, image.size_mb)
                self._put(host, name, copy)
                self._changed.add(host)
            copy.needed_by |= lease_ids
        for lease_id in lease_ids:
            self._needs[lease_id] = self._needs.get(lease_id, 0) | hosts
            self._call(name, lease_id)

    def need(self, image: DiskImage, hosts: HostSet, lease_id: int) -> None:
        """A lease will use the copies that are on ``hosts`` already: they must stay."""
        for host in hosts_in(hosts):
            copy = self._copies.get(host, {}).get(image.name)
            if copy is not None:
                copy.needed_by.add(lease_id)
        self._needs[lease_id] = self._needs.get(lease_id, 0) | hosts

    def kept_for(self, lease_id: int) -> HostSet:
        """Hosts where a copy stays because the lease needs it or may."""
        return self._needs.get(lease_id, 0)

    def share(self, lease_id: int, other_id: int) -> None:
        """A lease may use the copies that stay for another one, of the same image, as well."""
        hosts = self._needs.get(other_id, 0)
        for host in hosts_in(hosts):
            for copy in self._copies.get(host, {}).values():
                if other_id in copy.needed_by:
                    copy.needed_by.add(lease_id)
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
        for host in hosts_in(needs & ~but):
            copies = self._copies.get(host, {})
            for name in names:
                copy = copies.get(name)
                if copy is not None and lease_id in copy.needed_by:
                    copy.needed_by.discard(lease_id)
                    copy.used_at = now
                    if not copy.needed_by and not copy.cached:
                        self._drop(host, name)

    def used_mb(self, host: int) -> int:
        """The disk space that images take on a host."""
        return self._used_mb.get(host, 0)

    def changes(self) -> list[int]:
        """The hosts whose used disk space changed since this was asked last, in order."""
        changed = sorted(self._changed)
        self._changed.clear()
        return changed

    def records(self) -> tuple[CopyRecord, ...]:
        """Every copy on every host."""
        return tuple(
            CopyRecord(
                host=host,
                image=copy.image,
                needed_by=tuple(sorted(copy.needed_by)),
                used_at=copy.used_at,
                cached=copy.cached,
            )
            for host, copies in sorted(self._copies.items())
            for _, copy in sorted(copies.items())
        )

    def restore(self, record: CopyRecord) -> None:
        """A copy is on its host as it was."""
        image = record.image
        copy = _Copy(image, record.used_at)
        copy.needed_by.update(record.needed_by)
        copy.cached = record.cached
        name = self._name(image, copy.needed_by)
        self._put(record.host, name, copy)
        for lease_id in record.needed_by:
            self._needs[lease_id] = self._needs.get(lease_id, 0) | 1 << record.host
            self._call(name, lease_id)

    def _name(self, image: DiskImage, lease_ids: set[int]) -> str:
        """Return what a copy is called that comes for these leases."""
        return image.name if self._cache_mb else f"{image.name} of {min(lease_ids)}"

    def _call(self, name: str, lease_id: int) -> None:
        """Note what a copy is called that a lease needs."""
        if not self._cache_mb:
            self._names.setdefault(lease_id, set()).add(name)

    def _make_space(self, host: int, size_mb: int) -> bool:
        """Drop least recently used images so that as much fits the cache; tell if it does."""
        room_mb = self._cache_mb - self._cached_mb.get(host, 0)
        if room_mb >= size_mb:
            return True
        copies = self._copies[host]
        idle = sorted((c.used_at, n) for n, c in copies.items() if c.cached and not c.needed_by)
        if room_mb + sum(copies[n].image.size_mb for _, n in idle) < size_mb:
            return False
        for _, name in idle:
            if room_mb >= size_mb:
                break
            room_mb += copies[name].image.size_mb
            self._drop(host, name)
        return True

    def _put(self, host: int, name: str, copy: _Copy) -> None:
        image = copy.image
        self._copies.setdefault(host, {})[name] = copy
        self._used_mb[host] = self._used_mb.get(host, 0) + image.size_mb
        if copy.cached:
            self._cached_mb[host] = self._cached_mb.get(host, 0) + image.size_mb
            self._hosts_with[image.name] = self._hosts_with.get(image.name, 0) | 1 << host

    def _drop(self, host: int, name: str) -> None:
        copy = self._copies[host].pop(name)
        self._used_mb[host] -= copy.image.size_mb
        if copy.cached:
            self._cached_mb[host] -= copy.image.size_mb
            self._hosts_with[copy.image.name] &= ~(1 << host)
        self._changed.add(host)

    def check(self) -> None:
        """Assert that no cache is over its size, that sums are right and that nothing stays."""
        for host, copies in self._copies.items():
            for copy in copies.values():
                assert copy.cached or copy.needed_by, "a copy stays that nobody needs"
                needs = [self._needs.get(lease_id, 0) >> host & 1 for lease_id in copy.needed_by]
                assert all(needs), "a copy stays for a lease that is done with it"
            cached_mb = sum(c.image.size_mb for c in copies.values() if c.cached)
            assert cached_mb <= self._cache_mb, "a cache holds too much"
            assert cached_mb == self._cached_mb.get(host, 0), "what is in a cache is miscounted"
            used_mb = sum(c.image.size_mb for c in copies.values())
            assert used_mb == self._used_mb.get(host, 0), "what copies take is miscounted"
