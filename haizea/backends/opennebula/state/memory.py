"""Access to what the backend keeps from run to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from haizea.core.model.lease import LeaseRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Access to what the backend keeps, and to the requests that are kept.

    ``read`` and ``write`` keep small texts by name; ``write`` says whether it could.
    ``request`` finds the request of a lease, over or not.
    """

    read: Callable[[str], str | None]
    write: Callable[[str, str], bool]
    request: Callable[[int], LeaseRequest | None]

    def kept(self, name: str) -> tuple[str | None, Callable[[str], bool]]:
        """Return what is kept under this name of the backend's, and how to keep it anew."""
        name = f"opennebula {name}"
        return self.read(name), partial(self.write, name)
