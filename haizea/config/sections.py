"""The options of every section but ``[scheduling]``, and the whole configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from haizea import plugins
from haizea.config.opennebula import OpenNebula
from haizea.config.option import Required, option, options_of
from haizea.config.resources import Amounts, CapacityValue, HostGroup, HostsValue
from haizea.config.scheduling import Scheduling
from haizea.config.service import Service, World
from haizea.config.values import (
    Boolean,
    Choice,
    Duration,
    FilePath,
    Integer,
    Labels,
    Moment,
    Number,
    PluginNames,
    StorePlace,
)
from haizea.config.words import (
    AddOverhead,
    ClockKind,
    FailureHandling,
    ImageReuse,
    LogLevel,
    Mode,
    Preparation,
    StopWhen,
)
from haizea.core.model.settings import Transfer

_MODE = ("general", "mode")
_SIMULATED = Required(
    "where mode is simulated",
    (_MODE,),
    lambda c: c.general.mode is Mode.SIMULATED,
)
_FROM_TRACE = Required(
    "where mode and clock are simulated",
    (_MODE, ("simulation", "clock")),
    lambda c: not c.is_service,
)
_CACHES = Required(
    "where diskimage-reuse is image-caches",
    (("deploy-imagetransfer", "diskimage-reuse"),),
    lambda c: c.deploy_imagetransfer.diskimage_reuse is ImageReuse.IMAGE_CACHES,
)


@dataclass(frozen=True, kw_only=True)
class General:
    """Basics: what Haizea manages, and what it says about it."""

    NAME: ClassVar[str] = "general"

    mode: Mode = option(
        "mode",
        Choice(Mode),
        "The site behind the scheduler: a simulated one, or one that OpenNebula runs.",
        default="simulated",
        in_sample=True,
    )
    loglevel: LogLevel = option(
        "loglevel",
        Choice(LogLevel),
        "Detail of the log: STATUS says where a run stands, INFO what becomes of each lease,"
        " DEBUG why, and VDEBUG everything.",
        default="INFO",
        example="STATUS",
        in_sample=True,
    )
    logfile: Path | None = option(
        "logfile",
        FilePath(),
        "File of the log. Without it, the log goes to the terminal (standard error).",
        example="haizea.log",
    )
    lease_preparation: Preparation = option(
        "lease-preparation",
        Choice(Preparation),
        "Way of disk images to the hosts: unmanaged, they are there already; imagetransfer,"
        " they are sent from a repository before a lease starts, as [deploy-imagetransfer] says.",
        default="unmanaged",
        in_sample=True,
    )
    lease_failure_handling: FailureHandling = option(
        "lease-failure-handling",
        Choice(FailureHandling),
        "Behaviour when a lease fails: cancel it and go on, exit in good order, or exit at"
        " once with all that is known about the failure (to find its cause).",
        default="cancel",
    )
    persistence_file: Path | str | None = option(
        "persistence-file",
        StorePlace(),
        "Store of a service's leases: a file, or the URL of a PostgreSQL database; none, in"
        " memory only, so that a restart forgets them. A simulation has no use for it.",
        default="~/.haizea/leases.db",
    )


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The simulated site and its clock; used where mode is simulated."""

    NAME: ClassVar[str] = "simulation"

    clock: ClockKind = option(
        "clock",
        Choice(ClockKind),
        "simulated: time jumps from one event to the next, so that a month takes seconds."
        " real: the simulated site lives in real time, and takes requests from users.",
        default="simulated",
        in_sample=True,
    )
    starttime: int = option(
        "starttime",
        Moment(),
        "Start of the simulated clock. Times in a trace are relative to it.",
        default="2006-11-25 13:00:00",
        in_sample=True,
    )
    resources: tuple[HostGroup, ...] | None = option(
        "resources",
        HostsValue(),
        "The hosts of the site and what each of them has. in-tracefile: the trace says it.",
        required=_SIMULATED,
        example="4 CPU:100 Memory:1024",
        in_sample=True,
    )
    imagetransfer_bandwidth_mbps: int = option(
        "imagetransfer-bandwidth",
        Integer("Mbit/s", least=1),
        "Speed at which disk images are sent from the repository, and memory from host to host"
        " (migration).",
        default="100",
        in_sample=True,
    )
    stop_when: StopWhen = option(
        "stop-when",
        Choice(StopWhen),
        "End of the simulation: when every lease has ended, when the last best-effort"
        " lease was submitted, or when the last best-effort lease has ended.",
        default="all-leases-done",
        in_sample=True,
    )
    status_message_minutes: int | None = option(
        "status-message-interval",
        Integer("minutes", least=1),
        "Interval, in simulated minutes, at which the log says where the simulation stands.",
        example="60",
    )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Source of a simulation's requests, and changes to them."""

    NAME: ClassVar[str] = "tracefile"

    tracefile: Path | None = option(
        "tracefile",
        FilePath(),
        "The workload: lease requests in LWF, SWF (also .gz), YAML or plain text.",
        required=_FROM_TRACE,
        example="traces/sample.lwf",
        in_sample=True,
    )
    processors_per_node: int = option(
        "processors-per-node",
        Integer("processors", least=1),
        "For an SWF trace: how many of a job's processors one lease node stands for.",
        default="1",
    )
    node_capacity: Amounts = option(
        "node-capacity",
        CapacityValue(),
        "For an SWF trace: what each lease node asks for.",
        default="CPU:100 Memory:1024",
    )
    injectionfile: Path | None = option(
        "injectionfile",
        FilePath(),
        "A second workload whose leases are added to those of the trace, such as advance"
        " reservations for a trace of batch jobs.",
        example="traces/injected.lwf",
    )
    imagefile: Path | None = option(
        "imagefile",
        FilePath(),
        "Disk image of each lease of the trace: images and their sizes, then one name per lease.",
        example="traces/sample.images",
    )
    add_overhead: AddOverhead = option(
        "add-overhead",
        Choice(AddOverhead),
        "Leases whose durations grow by runtime-slowdown-overhead and bootshutdown-overhead:"
        " none, best-effort leases, or all.",
        default="none",
    )
    runtime_slowdown_percent: float = option(
        "runtime-slowdown-overhead",
        Number("percent"),
        "By how much VMs run longer than the machines that the trace was recorded on.",
        default="0",
    )
    bootshutdown_seconds: int = option(
        "bootshutdown-overhead",
        Duration(),
        "Time that booting and shutting down the VMs of a lease takes, added to its duration.",
        default="0",
    )
    override_memory_mb: int | None = option(
        "override-memory",
        Integer("MB", least=1),
        "Memory that every lease node asks for, whatever the trace says.",
        example="512",
    )


@dataclass(frozen=True, kw_only=True)
class ImageTransfer:
    """Transfer of disk images; used where lease-preparation is imagetransfer."""

    NAME: ClassVar[str] = "deploy-imagetransfer"

    transfer_mechanism: Transfer = option(
        "transfer-mechanism",
        Choice(Transfer),
        "unicast sends an image to each host of a lease, one after another; multicast sends it"
        " to all of them at once.",
        default="unicast",
    )
    avoid_redundant_transfers: bool = option(
        "avoid-redundant-transfers",
        Boolean(),
        "Lets a lease that needs an image which is about to be multicast anyway share that"
        " transfer. With unicast it has no effect.",
        default="no",
    )
    diskimage_reuse: ImageReuse = option(
        "diskimage-reuse",
        Choice(ImageReuse),
        "Lets each host keep the images it was sent, so that the next lease with the same"
        " image starts at once.",
        default="none",
    )
    diskimage_cache_mb: int | None = option(
        "diskimage-cache-size",
        Integer("MB", least=1),
        "Disk that each host has for images. The least recently used one that nobody needs"
        " makes room for another.",
        required=_CACHES,
        example="20480",
    )
    diskimage_ahead_mb: int = option(
        "diskimage-ahead-size",
        Integer("MB", least=0),
        "Multicasts go ahead, to all hosts, for leases that wait, so that these may start on"
        " any of them: as long as no host has more than this of images that are needed. 0: an"
        " image is sent when hosts are chosen, to these alone.",
        default="20480",
    )
    force_imagetransfer_seconds: int | None = option(
        "force-imagetransfer-time",
        Duration(),
        "Time that sending an image takes, whatever its size and the bandwidth.",
        example="60",
    )


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """Measurements, and the place where they are kept."""

    NAME: ClassVar[str] = "accounting"

    datafile: Path | None = option(
        "datafile",
        FilePath(),
        "File of the run's results (an SQLite file, which replaces one that is"
        " there). Without it nothing is saved.",
        example="haizea-sample.results",
        in_sample=True,
    )
    probes: tuple[str, ...] = option(
        "probes",
        PluginNames(plugins.PROBES),
        "Measurements during the run, beside what is always kept about each lease.",
        default="ar best-effort immediate cpu-utilization",
        in_sample=True,
    )
    attributes: tuple[tuple[str, str], ...] = option(
        "attributes",
        Labels(),
        "Labels of the run, kept with its results to tell it from other runs.",
        default="none",
        example="profile=sample",
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration, as one file says it; what the file leaves out has its default."""

    path: Path
    general: General = field(default_factory=General)
    scheduling: Scheduling = field(default_factory=Scheduling)
    simulation: Simulation = field(default_factory=Simulation)
    tracefile: Trace = field(default_factory=Trace)
    deploy_imagetransfer: ImageTransfer = field(default_factory=ImageTransfer)
    accounting: Accounting = field(default_factory=Accounting)
    opennebula: OpenNebula = field(default_factory=OpenNebula)
    service: Service = field(default_factory=Service)
    world: World = field(default_factory=World)

    @property
    def is_service(self) -> bool:
        """True if it is of a service rather than of a simulation that ends."""
        return self.general.mode is Mode.OPENNEBULA or self.simulation.clock is ClockKind.REAL

    def sections(self) -> Iterator[Any]:
        """Its sections, in the order of the reference."""
        for name in SECTIONS:
            yield getattr(self, attribute_of(name))

    def rows(self) -> list[tuple[str, str, str]]:
        """Every section, option and value in effect, as a file would say it.

        What is not set has the empty value; such a file has the same meaning.
        """
        return [
            (section.NAME, o.name, o.format(getattr(section, attribute)))
            for section in self.sections()
            for attribute, o in options_of(section)
        ]


#: The sections of a configuration file by name, in the order of the reference.
SECTIONS: dict[str, Any] = {
    section.NAME: section
    for section in (
        General,
        Scheduling,
        Simulation,
        Trace,
        ImageTransfer,
        Accounting,
        OpenNebula,
        Service,
        World,
    )
}


def attribute_of(section: str) -> str:
    """The attribute of :class:`Config` that holds this section."""
    return section.replace("-", "_")
