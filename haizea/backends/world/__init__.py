"""A simulated site in real time, that goes on while no manager lives."""

from haizea.backends.world.backend import WorldBackend
from haizea.backends.world.file import WorldError, WorldUnavailable
from haizea.backends.world.options import WorldOptions
from haizea.backends.world.rows import Entry, Happening, HostState, Incident, Stretch
from haizea.backends.world.vm import Command, IncidentKind, Verb, Vm, VmState
from haizea.backends.world.world import World

__all__ = [
    "Command",
    "Entry",
    "Happening",
    "HostState",
    "Incident",
    "IncidentKind",
    "Stretch",
    "Verb",
    "Vm",
    "VmState",
    "World",
    "WorldBackend",
    "WorldError",
    "WorldOptions",
    "WorldUnavailable",
]
