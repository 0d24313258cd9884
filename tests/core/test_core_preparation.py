"""Image transfers for ARs, against every order there is; and what caches keep."""

from __future__ import annotations

from itertools import permutations

from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.images.cache import ImageStore
from haizea.core.images.shipments import ImageTransfer
from haizea.core.images.transfers import Preparation
from haizea.core.model.lease import DiskImage
from haizea.core.model.settings import ImageSettings, Transfer

LENGTH = 3


def feasible(deadlines: list[int], now: int) -> bool:
    """Tell whether some order, one at a time from ``now`` on, meets every deadline."""
    return any(
        all(now + LENGTH * (i + 1) <= deadline for i, deadline in enumerate(order))
        for order in permutations(deadlines)
    )


def image(number: int) -> DiskImage:
    return DiskImage(f"image-{number}", 10)


@tries(300)
@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 3)), min_size=1, max_size=6))
def test_an_ar_gets_its_image_whenever_any_order_of_transfers_allows(
    asked: list[tuple[int, int]],
) -> None:
    preparation = Preparation(
        ImageSettings(mechanism=Transfer.MULTICAST, force_transfer_seconds=LENGTH)
    )
    now, link_free = 0, 0
    for number, (deadline, seconds) in enumerate(asked):
        now += seconds
        link_free = max(link_free, let_pass(preparation, now), now)
        waiting = [t.deadline for t in preparation.transfers if not t.begun]
        shipment = preparation.by(number, image(number), 0b11, now, now + deadline)
        assert (shipment is not None) == feasible([*waiting, now + deadline], link_free)
        if shipment is not None:
            preparation.apply(number, image(number), shipment)
            assert shipment.arrival <= now + deadline
        preparation.check()
        for transfer in preparation.transfers:
            assert transfer.start >= link_free or transfer.begun
            assert transfer.end == transfer.start + LENGTH
            assert transfer.end <= transfer.deadline


def let_pass(preparation: Preparation, now: int) -> int:
    """Begin and end what is due; answers when what is under way ends."""
    for transfer in sorted(preparation.transfers, key=lambda t: t.start):
        if transfer.start < now:
            transfer.begun = True
        if transfer.end <= now:
            preparation.finish(transfer, now)
    return max((t.end for t in preparation.transfers if t.begun), default=now)


def test_a_transfer_is_as_late_as_it_can_be() -> None:
    preparation = Preparation(ImageSettings(force_transfer_seconds=LENGTH))
    begin = []
    for number in range(3):
        shipment = preparation.by(number, image(number), 1, 0, 100)
        assert shipment is not None
        preparation.apply(number, image(number), shipment)
        begin += [t.start for t in shipment.new]
    assert sorted(begin) == [91, 94, 97]


def transfers(settings: ImageSettings, hosts: int) -> list[ImageTransfer]:
    shipment = Preparation(settings).soon(1, image(1), hosts, 10, 10)
    assert shipment.arrival == max(t.end for t in shipment.new)
    return shipment.new


def test_unicast_sends_one_copy_per_host_and_multicast_one_for_all() -> None:
    each = ImageSettings(mechanism=Transfer.UNICAST, force_transfer_seconds=4)
    assert [(t.start, t.end, t.hosts) for t in transfers(each, 0b101)] == [
        (10, 14, 0b001),
        (14, 18, 0b100),
    ]
    all_at_once = ImageSettings(mechanism=Transfer.MULTICAST, bandwidth_mbps=100)
    assert [(t.start, t.end, t.hosts) for t in transfers(all_at_once, 0b101)] == [(10, 11, 0b101)]


def test_a_lease_rides_along_on_a_multicast_that_is_to_begin() -> None:
    preparation = Preparation(
        ImageSettings(
            mechanism=Transfer.MULTICAST, avoid_redundant=True, force_transfer_seconds=LENGTH
        )
    )
    first = preparation.by(1, image(1), 0b01, 0, 20)
    assert first is not None
    preparation.apply(1, image(1), first)
    second = preparation.by(2, image(1), 0b10, 0, 30)
    assert second is not None
    assert not second.new
    preparation.apply(2, image(1), second)
    assert [t.hosts for t in preparation.transfers] == [0b11]
    assert preparation.arrival(2) == 20
    preparation.withdraw(1, 5)
    assert [t.hosts for t in preparation.transfers] == [0b10], "it goes on for the other"


def test_who_rides_along_keeps_the_hosts_of_another_who_leaves() -> None:
    preparation = Preparation(
        ImageSettings(
            mechanism=Transfer.MULTICAST,
            avoid_redundant=True,
            cache_mb=100,
            force_transfer_seconds=LENGTH,
        )
    )
    for lease, hosts in ((1, 0b01), (2, 0b11)):
        shipment = preparation.by(lease, image(1), hosts, 0, 20)
        assert shipment is not None
        preparation.apply(lease, image(1), shipment)
    preparation.withdraw(1, 5)
    assert [t.hosts for t in preparation.transfers] == [0b11]


def test_a_multicast_is_not_moved_to_where_it_is_late_for_who_rides_along() -> None:
    preparation = Preparation(
        ImageSettings(
            mechanism=Transfer.MULTICAST, avoid_redundant=True, force_transfer_seconds=LENGTH
        )
    )

    def ask(lease: int, number: int, hosts: int, now: int, deadline: int) -> bool:
        shipment = preparation.by(lease, image(number), hosts, now, deadline)
        if shipment is not None:
            preparation.apply(lease, image(number), shipment)
        return shipment is not None

    assert ask(1, 1, 0b01, 0, 20)
    assert ask(2, 2, 0b01, 0, 20)
    assert ask(3, 2, 0b10, 0, 18)
    assert preparation.arrival(3) == 17
    preparation.withdraw(1, 5)
    assert not ask(4, 4, 0b01, 13, 16), "only where the other image comes at 19 or later"
    assert preparation.arrival(3) == 17


SIZES_MB = {"a": 40, "b": 60, "c": 100, "d": 10}
CACHE_MB = 120


@tries(300)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(SIZES_MB)), st.integers(1, 4), st.booleans()), max_size=25
    )
)
def test_a_cache_drops_what_was_used_least_recently_and_is_not_needed(
    steps: list[tuple[str, int, bool]],
) -> None:
    store = ImageStore(CACHE_MB)
    needed: dict[str, set[int]] = {}
    cached: dict[str, int] = {}  # -> last used
    for now, (name, number, arrives) in enumerate(steps):
        lease_id = 10 * SIZES_MB[name] + number  # a lease has one image
        disk_image = DiskImage(name, SIZES_MB[name])
        if arrives:
            store.arrived(disk_image, 1, {lease_id}, now)
            if name not in cached and not needed.get(name):
                make_space(cached, needed, name, now)
            needed.setdefault(name, set()).add(lease_id)
        else:
            store.done(disk_image, lease_id, now)
            if lease_id in needed.get(name, set()):
                needed[name].remove(lease_id)
                if name in cached:
                    cached[name] = now
        store.check()
        for other, size_mb in SIZES_MB.items():
            there = store.hosts_with(DiskImage(other, size_mb)) == 1
            assert there == (other in cached), other
        on_disk = {n for n in SIZES_MB if n in cached or needed.get(n)}
        assert store.used_mb(0) == sum(SIZES_MB[n] for n in on_disk)


def make_space(cached: dict[str, int], needed: dict[str, set[int]], name: str, now: int) -> None:
    """Cache ``name`` if it fits once the least recently used, not needed, are gone."""
    idle = sorted((used, n) for n, used in cached.items() if not needed.get(n))
    kept = sum(SIZES_MB[n] for n in cached if needed.get(n))
    if kept + SIZES_MB[name] > CACHE_MB:
        return
    while sum(SIZES_MB[n] for n in cached) + SIZES_MB[name] > CACHE_MB:
        del cached[idle.pop(0)[1]]
    cached[name] = now


def test_without_caches_a_copy_goes_with_its_lease() -> None:
    store = ImageStore(0)
    store.arrived(image(1), 0b11, {1}, 0)
    store.arrived(image(1), 0b01, {2}, 0)
    assert (store.used_mb(0), store.used_mb(1)) == (20, 10)
    assert store.hosts_with(image(1)) == 0
    assert store.changes() == [(0, 20), (1, 10)]
    store.done(image(1), 1, 5)
    assert (store.used_mb(0), store.used_mb(1)) == (10, 0)


def test_a_copy_goes_with_the_last_who_shares_it() -> None:
    store = ImageStore(0)
    store.arrived(image(1), 0b11, {1}, 0)
    store.share(2, 1)
    store.done(image(1), 1, 5)
    store.done(image(1), 2, 6, but=0b01)
    assert (store.used_mb(0), store.used_mb(1)) == (10, 0)
    store.done(image(1), 2, 7)
    assert (store.used_mb(0), store.used_mb(1)) == (0, 0)
    store.check()


def test_nobody_waits_for_an_image_twice() -> None:
    settings = ImageSettings(cache_mb=100, force_transfer_seconds=LENGTH)
    preparation = Preparation(settings)
    for number, hosts in ((1, 0b011), (2, 0b110)):
        # The second does not count on transfers of an AR, so that host 1 is sent to twice.
        later = preparation.by(number, image(1), hosts, 0, 100) if number == 1 else None
        shipment = later or preparation.soon(number, image(1), hosts, 0, 0)
        preparation.apply(number, image(1), shipment)
    let_pass(preparation, 2 * LENGTH)
    assert not preparation.pending(2)
    third = preparation.by(3, image(1), 0b111, 2 * LENGTH, 100)
    assert third is not None
    preparation.apply(3, image(1), third)
    relied_on = [t.hosts for t in preparation.transfers if 3 in t.relying]
    assert relied_on == [0b001], "the others have it"
    assert third.arrival == preparation.arrival(3)
