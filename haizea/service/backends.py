"""Backends of a service: the site, and what carries the scheduler's decisions out there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from haizea.api.identities import CheckPassword
from haizea.backends.world import World, WorldBackend
from haizea.clock import RealClock
from haizea.config import Config, make_site
from haizea.config.words import Mode
from haizea.core.model.hosts import HostSet, Site
from haizea.core.model.policy import Policies
from haizea.core.model.records import LeaseRecord
from haizea.extras import advice, extra_of
from haizea.host_names import no_attributes
from haizea.loop import Observer
from haizea.runtime import RunError
from haizea.service.inbox import HandIn
from haizea.service.recovery import LastingBackend
from haizea.service.world import open_world
from haizea.service_types import LearnedTime
from haizea.store import CodecError, Store


class Behind(Protocol):
    """The side that a service drives. ``name`` is for people.

    ``check_password`` finds out who its users are, where it knows. Lease ids from ``next_lease_id``
    on were never used there.
    """

    name: str
    backend: LastingBackend
    check_password: CheckPassword | None
    next_lease_id: int

    @property
    def remains(self) -> str:
        """Description of what goes on there for leases not in the store; empty if nothing does."""

    def site(self) -> Site:
        """The hosts that are known now."""

    def policies(self, chosen: Policies) -> Policies:
        """The policies to use, where the configuration has chosen these."""

    def observers(self, known: Sequence[LeaseRecord]) -> list[Observer]:
        """Return who else is to be told decisions. ``known`` are the leases that went on."""

    def start(self, directory: Path) -> None:
        """Begin with what goes on beside the loop; ``directory`` is for the service's own files."""

    def problem(self) -> str:
        """Return what is wrong with it at present; empty if nothing."""

    def learned(self) -> Sequence[LearnedTime]:
        """Return how long operations take there, as far as was learned. Any thread may ask."""

    def hosts_meeting(self, condition: str) -> HostSet:
        """Find hosts by a condition on their attributes, as it is written there.

        Any thread may ask. Raises :class:`ValueError` for a text that is not a condition.
        """

    def is_over(self, leases: int) -> bool:
        """Tell whether the service is to end, there being so many leases that are not over."""

    def close(self) -> None:
        """Let go of it."""


def open_backend(
    config: Config, store: Store, clock: RealClock, speed: float, hand_in: HandIn
) -> Behind:
    """Open what the configuration names. ``speed`` is that of the clock.

    What it asks for itself it hands in, in the loop's thread.

    Raises :class:`haizea.runtime.RunError`, or what the world raises.
    """
    if config.general.mode is Mode.OPENNEBULA:
        return _opennebula(config, store, clock, speed, hand_in)
    return WorldSide(config, store, clock)


def _opennebula(
    config: Config, store: Store, clock: RealClock, speed: float, hand_in: HandIn
) -> Behind:
    """Imported only here: what parses expressions comes with an extra that not all have."""
    try:
        from haizea.service.opennebula import open_opennebula
    except ModuleNotFoundError as error:
        if extra_of(error) is None:
            raise
        advised = advice(str(error.name), "opennebula")
        raise RunError(f"{config.path}: [general] mode: opennebula {advised}") from error
    return open_opennebula(config, store, clock, speed, hand_in)


class WorldSide:
    """The simulated site in real time."""

    name = "simulated, in real time"
    check_password: CheckPassword | None = None

    def __init__(self, config: Config, store: Store, clock: RealClock) -> None:
        self._site = make_site(config.simulation.resources or ())
        self._world: World = open_world(config, self._site, clock.now(), store.shown)
        self._store = store
        self.backend: LastingBackend = WorldBackend(
            self._world, knows=self._knows, hosts=range(len(self._site.hosts))
        )
        self.next_lease_id = self._world.last_lease() + 1
        self._where = config.world.file

    @property
    def remains(self) -> str:
        """VMs of leases that the store does not have."""
        leases = {vm.lease for vm in self._world.vms() if vm.there}
        strange = sum(not self._knows(lease) for lease in leases)
        many = "1 lease" if strange == 1 else f"{strange} leases"
        return f"there are VMs of {many} in {self._where}" if strange else ""

    def _knows(self, lease: int) -> bool:
        """Tell whether the store has the lease, over or not, and can read it."""
        try:
            return self._store.lease(lease) is not None
        except CodecError:
            return False

    def site(self) -> Site:
        """The hosts of the configuration."""
        return self._site

    def policies(self, chosen: Policies) -> Policies:
        """Return the policies as they were chosen."""
        return chosen

    def observers(self, known: Sequence[LeaseRecord]) -> list[Observer]:
        """Nobody."""
        return []

    def start(self, directory: Path) -> None:
        """Nothing goes on beside."""

    def problem(self) -> str:
        """Nothing."""
        return ""

    def learned(self) -> Sequence[LearnedTime]:
        """Nothing."""
        return ()

    def hosts_meeting(self, condition: str) -> HostSet:
        """No host: those of the configuration have names and sizes alone."""
        return no_attributes(condition)

    def is_over(self, leases: int) -> bool:
        """Return False: it goes on until it is stopped."""
        return False

    def close(self) -> None:
        """Close the world's file."""
        self._world.close()
