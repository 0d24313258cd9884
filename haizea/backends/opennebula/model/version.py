"""The version of OpenNebula, recognized by its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from haizea.backends.opennebula.model.errors import BadAnswer

_NUMBERS = re.compile(r"\s*(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """``major.minor.patch``, comparable: ``version >= Version(6, 8)``."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def is_legacy(self) -> bool:
        """True if it speaks as 1.4: hashed passwords, text as it is, no codes, few calls."""
        return self.major < 4

    @property
    def runs_scheduled_actions(self) -> bool:
        """True if ``oned`` itself runs the ``SCHED_ACTION``s of VMs; up to 6.6 nobody does."""
        return self >= Version(6, 7)

    @property
    def scheduler_is_a_driver(self) -> bool:
        """True if the scheduler is a driver of ``oned`` instead of a process beside it."""
        return self.major >= 7


#: What has no ``one.system.version`` is taken for it.
LEGACY = Version(1, 4)


def read_version(text: str) -> Version:
    """The version that ``one.system.version`` answers. Raises :class:`BadAnswer`."""
    found = _NUMBERS.match(text)
    if found is None:
        raise BadAnswer(f"{text[:40]!r} is not a version of OpenNebula")
    return Version(int(found[1]), int(found[2]), int(found[3] or 0))
