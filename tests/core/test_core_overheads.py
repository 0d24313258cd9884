"""Durations of operations, worked by hand from the formulas that users are told."""

from __future__ import annotations

import pytest

from haizea.core.model import overheads
from haizea.core.model.settings import Exclusion, Migration, Settings

PLAIN = Settings()
SLOW = Settings(suspend_rate_mb_s=32, resume_rate_mb_s=64, enactment_overhead_seconds=3)
GLOBAL = Settings(exclusion=Exclusion.GLOBAL, enactment_overhead_seconds=3)


@pytest.mark.parametrize(
    ("settings", "memory_mb", "suspend", "resume"),
    [
        (PLAIN, 1024, 32, 32),
        (PLAIN, 1000, 32, 32),  # 31.25 s, rounded up
        (PLAIN, 0, 0, 0),
        (SLOW, 1024, 35, 19),
        (SLOW, 1025, 36, 20),
        (Settings(suspend_rate_mb_s=0.5, resume_rate_mb_s=2.5), 100, 200, 40),
        (Settings(override_suspend_seconds=10, override_resume_seconds=0), 9999, 10, 0),
        (Settings(override_suspend_seconds=10, enactment_overhead_seconds=3), 64, 13, 5),
    ],
)
def test_one_vm(settings: Settings, memory_mb: int, suspend: int, resume: int) -> None:
    assert overheads.suspend_vm_seconds(settings, memory_mb) == suspend
    assert overheads.resume_vm_seconds(settings, memory_mb) == resume


@pytest.mark.parametrize(
    ("settings", "hosts", "vm_seconds", "seconds"),
    [
        (PLAIN, [0], [32], 32),
        (PLAIN, [0, 1, 2], [32, 10, 20], 32),  # all at once
        (PLAIN, [0, 0, 1], [32, 32, 40], 64),  # two share a host
        (SLOW, [0, 1, 2], [35, 35, 35], 41),  # commands at 0, 3 and 6
        (SLOW, [0, 0], [35, 35], 70),
        (SLOW, [0, 1, 0], [35, 35, 35], 70),
        (SLOW, [0, 1, 2, 3, 4], [4, 4, 4, 4, 4], 16),
        (SLOW, [0, 1], [35, 3], 35),
        (GLOBAL, [0, 1, 2], [35, 35, 35], 105),  # one after another, wherever they are
        (GLOBAL, [0, 0], [35, 10], 45),
    ],
)
def test_a_lease(settings: Settings, hosts: list[int], vm_seconds: list[int], seconds: int) -> None:
    assert overheads.lease_seconds(settings, hosts, vm_seconds) == seconds


@pytest.mark.parametrize(
    ("settings", "suspend", "resume", "seconds"),
    [
        (PLAIN, 32, 0, 64),
        (PLAIN, 32, 40, 144),
        (Settings(scheduling_threshold_factor=0), 32, 0, 32),
        (Settings(scheduling_threshold_factor=0.5), 33, 0, 50),  # 49.5, rounded up
        (Settings(force_scheduling_threshold_seconds=7), 32, 40, 7),
        (Settings(force_scheduling_threshold_seconds=0), 32, 40, 0),
    ],
)
def test_the_threshold(settings: Settings, suspend: int, resume: int, seconds: int) -> None:
    assert overheads.threshold_seconds(settings, suspend, resume) == seconds


@pytest.mark.parametrize(
    ("settings", "nodes", "duration", "seconds"),
    [
        (PLAIN, 4, 100, 0),
        (Settings(shutdown_seconds=20), 4, 100, 20),
        (Settings(shutdown_seconds=20, enactment_overhead_seconds=3), 4, 100, 32),
        (Settings(shutdown_seconds=20), 1, 10, 9),  # a second is left to run
        (Settings(shutdown_seconds=20), 1, 1, 0),
    ],
)
def test_shutting_down(settings: Settings, nodes: int, duration: int, seconds: int) -> None:
    assert overheads.shutdown_seconds(settings, nodes, duration) == seconds


@pytest.mark.parametrize(
    ("size_mb", "bandwidth_mbps", "seconds"),
    [(1024, 100, 82), (100, 100, 8), (1, 1000, 1), (0, 100, 0), (4096, 1000, 33)],
)
def test_a_transfer(size_mb: int, bandwidth_mbps: int, seconds: int) -> None:
    assert overheads.transfer_seconds(size_mb, bandwidth_mbps) == seconds


MOVES = Settings(migration=Migration.YES, migration_bandwidth_mbps=100)


@pytest.mark.parametrize(
    ("sources", "targets", "sizes_mb", "seconds"),
    [
        ([0], [1], [100], 8),
        ([0, 1], [0, 1], [100, 100], 0),  # nothing moves
        ([0, 1], [2, 3], [100, 200], 16),  # no host in common: at once
        ([0, 0], [1, 2], [100, 100], 16),  # one source
        ([0, 1], [2, 2], [100, 100], 16),  # one target
        ([0, 1], [1, 2], [100, 100], 16),  # what is a target of one is a source of the other
        ([0, 0], [1, 1], [100, 100], 16),
        ([0, 1, 2], [0, 3, 4], [900, 100, 100], 8),  # the first stays
    ],
)
def test_a_migration(
    sources: list[int], targets: list[int], sizes_mb: list[int], seconds: int
) -> None:
    assert overheads.migration_seconds(MOVES, sources, targets, sizes_mb) == seconds


def test_a_migration_without_transfer_takes_no_time() -> None:
    free = Settings(migration=Migration.YES_NOTRANSFER)
    assert overheads.migration_seconds(free, [0, 0], [1, 2], [5000, 5000]) == 0
