"""Settings of the configuration file about scheduling, in the core's own words.

Every default is the default of the configuration file. Rates are MB/s, bandwidth is
Mbit/s, times are whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Backfilling(StrEnum):
    """The number of waiting leases that hold a future reservation that others must not delay."""

    OFF = "off"
    AGGRESSIVE = "aggressive"
    INTERMEDIATE = "intermediate"
    CONSERVATIVE = "conservative"


class Suspension(StrEnum):
    """The leases that may be suspended."""

    NONE = "none"
    SERIAL_ONLY = "serial-only"
    ALL = "all"


class Exclusion(StrEnum):
    """The suspensions and resumptions that must not overlap."""

    LOCAL = "local"
    GLOBAL = "global"


class Migration(StrEnum):
    """Hosts on which a suspended lease may resume: its own alone, or others, too."""

    NO = "no"
    YES = "yes"
    YES_NOTRANSFER = "yes-notransfer"


class Transfer(StrEnum):
    """The way in which an image is sent: to each host of a lease, or once to all of them."""

    UNICAST = "unicast"
    MULTICAST = "multicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """The way in which disk images get to the hosts (``lease-preparation: imagetransfer``).

    ``cache_mb`` is the size of each host's image cache, 0 for no caches.
    """

    mechanism: Transfer = Transfer.UNICAST
    avoid_redundant: bool = False
    cache_mb: int = 0
    bandwidth_mbps: int = 100
    force_transfer_seconds: int | None = None
    ahead_mb: int = 0

    @property
    def sends_ahead(self) -> bool:
        """True if images of waiting leases are sent before their hosts are known."""
        return self.mechanism is Transfer.MULTICAST and self.ahead_mb > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The rules of one scheduler. ``images`` is ``None`` where images are unmanaged.

    No reservation is made for a start less than ``non_schedulable_seconds`` ahead. Leases
    that make room and are not saved leave at once, or ``run_on`` until they must go. The
    time of a lease that is no AR counts from when its VMs run, or (``counts_preparation``)
    from when they are started. The VMs of an AR are started so early that they run at its start,
    or (``prepares_at_start``) only then. At most ``remapping_effort`` hosts are looked at before a
    lease is refused, in search of other hosts for what has not begun. A start or deadline that
    is proposed in place of one that was refused can be asked for during ``notice_seconds``, at
    least.
    """

    backfilling: Backfilling = Backfilling.OFF
    backfilling_reservations: int = 1
    suspension: Suspension = Suspension.NONE
    suspend_rate_mb_s: float = 32.0
    resume_rate_mb_s: float = 32.0
    override_suspend_seconds: int | None = None
    override_resume_seconds: int | None = None
    exclusion: Exclusion = Exclusion.LOCAL
    migration: Migration = Migration.NO
    migration_bandwidth_mbps: int = 100
    scheduling_threshold_factor: float = 1.0
    force_scheduling_threshold_seconds: int | None = None
    shutdown_seconds: int = 0
    enactment_overhead_seconds: int = 0
    non_schedulable_seconds: int = 0
    run_on: bool = False
    counts_preparation: bool = False
    prepares_at_start: bool = False
    remapping_effort: int = 6_000
    notice_seconds: int = 0
    images: ImageSettings | None = None

    @property
    def reservations(self) -> int | None:
        """The number of waiting leases that hold a future reservation; ``None`` for all of them."""
        match self.backfilling:
            case Backfilling.OFF:
                return 0
            case Backfilling.AGGRESSIVE:
                return 1
            case Backfilling.INTERMEDIATE:
                return self.backfilling_reservations
            case Backfilling.CONSERVATIVE:
                return None
