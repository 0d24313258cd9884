"""The words that options take, where the core has none of its own for them."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """What is behind the scheduler."""

    SIMULATED = "simulated"
    OPENNEBULA = "opennebula"


class LogLevel(StrEnum):
    """How much is logged, from little to much."""

    STATUS = "STATUS"
    INFO = "INFO"
    DEBUG = "DEBUG"
    VDEBUG = "VDEBUG"


class Preparation(StrEnum):
    """How disk images come to the hosts."""

    UNMANAGED = "unmanaged"
    IMAGETRANSFER = "imagetransfer"


class FailureHandling(StrEnum):
    """What happens when a lease fails."""

    CANCEL = "cancel"
    EXIT = "exit"
    EXIT_RAISE = "exit-raise"


class ClockKind(StrEnum):
    """Which clock a simulation follows."""

    SIMULATED = "simulated"
    REAL = "real"


class StopWhen(StrEnum):
    """When a simulation is over."""

    ALL_LEASES_DONE = "all-leases-done"
    BESTEFFORT_SUBMITTED = "besteffort-submitted"
    BESTEFFORT_DONE = "besteffort-done"


class AddOverhead(StrEnum):
    """Whose durations grow by the runtime overheads."""

    NONE = "none"
    BESTEFFORT = "besteffort"
    ALL = "all"


class ImageReuse(StrEnum):
    """Whether hosts keep disk images."""

    NONE = "none"
    IMAGE_CACHES = "image-caches"


class LogFormat(StrEnum):
    """How a service writes its log."""

    TEXT = "text"
    JSON = "json"
