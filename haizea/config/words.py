"""The words that options take, where the core has none of its own for them."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Kind of site behind the scheduler."""

    SIMULATED = "simulated"
    OPENNEBULA = "opennebula"


class LogLevel(StrEnum):
    """Amount that is logged, from little to much."""

    STATUS = "STATUS"
    INFO = "INFO"
    DEBUG = "DEBUG"
    VDEBUG = "VDEBUG"


class Preparation(StrEnum):
    """Way in which disk images come to the hosts."""

    UNMANAGED = "unmanaged"
    IMAGETRANSFER = "imagetransfer"


class FailureHandling(StrEnum):
    """Reaction to the failure of a lease."""

    CANCEL = "cancel"
    EXIT = "exit"
    EXIT_RAISE = "exit-raise"


class ClockKind(StrEnum):
    """Clock that a simulation follows."""

    SIMULATED = "simulated"
    REAL = "real"


class StopWhen(StrEnum):
    """Event that ends a simulation."""

    ALL_LEASES_DONE = "all-leases-done"
    BESTEFFORT_SUBMITTED = "besteffort-submitted"
    BESTEFFORT_DONE = "besteffort-done"


class AddOverhead(StrEnum):
    """Leases whose durations grow by the runtime overheads."""

    NONE = "none"
    BESTEFFORT = "besteffort"
    ALL = "all"


class ImageReuse(StrEnum):
    """Reuse of disk images: whether hosts keep them."""

    NONE = "none"
    IMAGE_CACHES = "image-caches"


class LogFormat(StrEnum):
    """Format of a service's log."""

    TEXT = "text"
    JSON = "json"
