"""Durations of operations, in whole seconds. Pure arithmetic: no state, no plan.

The formulas are those of "Time that operations take" in ``docs/scheduling.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil

from haizea.core.model.settings import Exclusion, Migration, Settings


def suspend_vm_seconds(settings: Settings, memory_mb: int, rate_mb_s: float | None = None) -> int:
    """To save the memory of one VM, at this rate or that of the settings."""
    rate = settings.suspend_rate_mb_s if rate_mb_s is None else rate_mb_s
    return _vm_seconds(settings, memory_mb, rate, settings.override_suspend_seconds)


def resume_vm_seconds(settings: Settings, memory_mb: int, rate_mb_s: float | None = None) -> int:
    """To restore the memory of one VM, at this rate or that of the settings."""
    rate = settings.resume_rate_mb_s if rate_mb_s is None else rate_mb_s
    return _vm_seconds(settings, memory_mb, rate, settings.override_resume_seconds)


def _vm_seconds(settings: Settings, memory_mb: int, rate_mb_s: float, override: int | None) -> int:
    seconds = _seconds(memory_mb, rate_mb_s) if override is None else override
    return seconds + settings.enactment_overhead_seconds


@lru_cache(maxsize=4096)
def _seconds(size_mb: int, rate_mb_s: float) -> int:
    """``size_mb / rate_mb_s``, rounded up: exactly, for the rate as it is written."""
    return ceil(size_mb / Fraction(repr(rate_mb_s)))


def lease_seconds(settings: Settings, hosts: Sequence[int], vm_seconds: Sequence[int]) -> int:
    """To suspend or resume a whole lease: VM *i* on ``hosts[i]`` takes ``vm_seconds[i]``.

    VMs that share a host (with global exclusion: all of them) go one after another; the
    command for VM *i* is given no sooner than *i* enactment overheads after the first.
    """
    if settings.exclusion is Exclusion.GLOBAL:
        return sum(vm_seconds)
    overhead = settings.enactment_overhead_seconds
    if overhead == 0 and len(set(hosts)) == len(hosts):
        return max(vm_seconds)
    idle_from: dict[int, int] = {}
    for i, (host, seconds) in enumerate(zip(hosts, vm_seconds, strict=True)):
        begin = max(i * overhead, idle_from.get(host, 0))
        idle_from[host] = begin + seconds
    return max(idle_from.values())


def threshold_seconds(settings: Settings, suspend_seconds: int, resume_seconds: int) -> int:
    """The least running time worth starting for; ``resume_seconds`` is 0 for a fresh start."""
    if settings.force_scheduling_threshold_seconds is not None:
        return settings.force_scheduling_threshold_seconds
    return _times(suspend_seconds + resume_seconds, settings.scheduling_threshold_factor)


@lru_cache(maxsize=4096)
def _times(seconds: int, factor: float) -> int:
    return ceil(seconds * (1 + Fraction(repr(factor))))


def shutdown_seconds(
    settings: Settings, nodes: int, duration: int, learned_seconds: int | None = None
) -> int:
    """To shut ``nodes`` VMs down at the end of ``duration``, of which 1 s at least is left.

    What was learned goes before the time of the settings. Where it is longer than that, half of
    the duration is left.
    """
    commands = settings.enactment_overhead_seconds * nodes
    wanted = configured = settings.shutdown_seconds + commands
    if learned_seconds is not None:
        wanted = min(learned_seconds + commands, max(configured, duration // 2))
    return max(min(wanted, duration - 1), 0)


def transfer_seconds(size_mb: int, bandwidth_mbps: int) -> int:
    """To send ``size_mb`` megabytes over a link of ``bandwidth_mbps`` megabits a second."""
    return -(-size_mb * 8 // bandwidth_mbps)


def migration_seconds(
    settings: Settings, sources: Sequence[int], targets: Sequence[int], sizes_mb: Sequence[int]
) -> int:
    """To move saved VM *i* of ``sizes_mb[i]`` from ``sources[i]`` to ``targets[i]``.

    Pairs of hosts that share none go at once; a pair waits for the hosts it shares.
    """
    if settings.migration is Migration.YES_NOTRANSFER:
        return 0
    idle_from: dict[int, int] = {}
    for source, target, size_mb in zip(sources, targets, sizes_mb, strict=True):
        if source == target:
            continue
        begin = max(idle_from.get(source, 0), idle_from.get(target, 0))
        end = begin + transfer_seconds(size_mb, settings.migration_bandwidth_mbps)
        idle_from[source] = idle_from[target] = end
    return max(idle_from.values(), default=0)
