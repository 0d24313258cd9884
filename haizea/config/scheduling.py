"""The options of ``[scheduling]``: how leases are placed, suspended and preempted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from haizea import plugins
from haizea.config.option import Required, option
from haizea.config.values import Choice, Duration, Integer, Number, PluginName
from haizea.core.model.settings import Backfilling, Exclusion, Migration, Suspension

_INTERMEDIATE = Required(
    "where backfilling is intermediate",
    (("scheduling", "backfilling"),),
    lambda c: c.scheduling.backfilling is Backfilling.INTERMEDIATE,
)


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """Placement, suspension and preemption of leases."""

    NAME: ClassVar[str] = "scheduling"

    mapper: str = option(
        "mapper",
        PluginName(plugins.MAPPER),
        "Chooses the hosts for a lease's nodes at a given moment. It takes them in the"
        " order that policy-host-selection prefers.",
        default="greedy",
    )
    policy_admission: str = option(
        "policy-admission",
        PluginName(plugins.ADMISSION),
        "Requests that are looked at at all: every one, or every one but advance"
        " reservations. What is not admitted is rejected with that reason.",
        default="accept-all",
        in_sample=True,
    )
    policy_preemption: str = option(
        "policy-preemption",
        PluginName(plugins.PREEMPTION),
        "Chooses who makes room for whom. With ar-preempts-everything, preemptible best-effort"
        " leases make room for an advance reservation that finds none, the youngest first and no"
        " more of them than needed; and preemptible leases with deadlines, where these are"
        " suspended and still done in time.",
        default="no-preemption",
        example="ar-preempts-everything",
        in_sample=True,
    )
    policy_host_selection: str = option(
        "policy-host-selection",
        PluginName(plugins.HOST_SELECTION),
        "Hosts that are preferred. greedy takes those with the fewest leases on them, then"
        " those whose free capacity stays unchanged longest; no-policy goes by identifier.",
        default="greedy",
        in_sample=True,
    )
    policy_queue_order: str = option(
        "policy-queue-order",
        PluginName(plugins.QUEUE_ORDER),
        "Order in which waiting leases are taken. submission: as they came, a suspended lease"
        " having come when it was suspended; seniority: as they were submitted, suspended or"
        " not; shortest-first: the shortest requested duration first (long leases may then"
        " wait very long).",
        default="submission",
    )
    remapping_effort: int = option(
        "remapping-effort",
        Integer("hosts"),
        "Number of hosts that may be looked at, before a lease is refused or another is preempted"
        " for it, in search of other hosts for leases that have not begun. Such leases keep their"
        " start and their room; only where they are to run changes. More finds room a little"
        " more often and takes longer: 6000 take up to 230 ms on sites of up to 64 hosts, where"
        " most of it goes to searches that take many hosts for one, and up to 250 ms on ten"
        " thousand hosts. With 0 nothing is moved.",
        default="6000",
    )
    backfilling: Backfilling = option(
        "backfilling",
        Choice(Backfilling),
        "Lets a waiting lease start before one that was submitted earlier, where that"
        " delays none of those that hold a future reservation: off, nobody overtakes;"
        " aggressive, the first in the queue holds one (EASY); intermediate, the first"
        " backfilling-reservations do; conservative, every one does.",
        default="off",
        example="aggressive",
        in_sample=True,
    )
    backfilling_reservations: int | None = option(
        "backfilling-reservations",
        Integer("leases", least=1),
        "Number of waiting leases that hold a future reservation with intermediate backfilling."
        " Otherwise it has no effect.",
        required=_INTERMEDIATE,
        example="4",
    )
    suspension: Suspension = option(
        "suspension",
        Choice(Suspension),
        "Best-effort leases that may be suspended, to make room or because their hole ends:"
        " none, those with one node, or all. What may not be suspended starts over when it is"
        " preempted.",
        default="none",
        example="all",
        in_sample=True,
    )
    suspend_rate_mb_s: float = option(
        "suspend-rate",
        Number("MB/s", positive=True),
        "Rate at which the memory of a VM is saved: suspending it takes its memory divided by"
        " this.",
        default="32",
        in_sample=True,
    )
    resume_rate_mb_s: float = option(
        "resume-rate",
        Number("MB/s", positive=True),
        "Rate at which the memory of a VM is restored: resuming it takes its memory divided by"
        " this.",
        default="32",
        in_sample=True,
    )
    suspendresume_exclusion: Exclusion = option(
        "suspendresume-exclusion",
        Choice(Exclusion),
        "Suspensions and resumptions that must not overlap. local: those on one host, where"
        " memory is saved on its own disk. global: any, where all hosts save to one shared"
        " file system.",
        default="local",
        in_sample=True,
    )
    migration: Migration = option(
        "migration",
        # Configurations of old say True and False here.
        Choice(Migration, {"true": "yes", "false": "no"}),
        "Lets a suspended lease resume on other hosts than it ran on: no; yes, its"
        " memory moves there first; yes-notransfer, the move takes no time. Without suspension"
        " it has no effect.",
        default="no",
        in_sample=True,
    )
    scheduling_threshold_factor: float = option(
        "scheduling-threshold-factor",
        Number(),
        "A lease is not started before something that would stop it again at once: it must be"
        " able to run for the time that suspending (and, if it resumes, resuming) takes, times"
        " 1 plus this.",
        default="1",
    )
    force_scheduling_threshold_seconds: int | None = option(
        "force-scheduling-threshold",
        Duration(),
        "The least time for which a lease must be able to run, in place of the one that"
        " scheduling-threshold-factor gives.",
        example="60",
    )
    override_suspend_seconds: int | None = option(
        "override-suspend-time",
        Duration(),
        "Time that suspending one VM takes, whatever its memory and suspend-rate.",
        example="30",
    )
    override_resume_seconds: int | None = option(
        "override-resume-time",
        Duration(),
        "Time that resuming one VM takes, whatever its memory and resume-rate.",
        example="30",
    )
    shutdown_seconds: int = option(
        "shutdown-time",
        Duration(),
        "Time that shutting down a VM takes. It is the last part of a lease's duration: what is"
        " asked for 5 minutes runs for so much less. Hosts are free as soon as VMs are gone. With"
        " OpenNebula it counts until something was learned of VMs of the kind.",
        default="0",
    )
    enactment_overhead_seconds: int = option(
        "enactment-overhead",
        Duration(),
        "Time that one command to a host takes to be sent and taken up; commands for the nodes"
        " of a lease are this far apart.",
        default="0",
    )
    wakeup_interval_seconds: int = option(
        "wakeup-interval",
        Duration(least=1),
        "With the real clock, how long Haizea sleeps at most before it looks again, even where"
        " nothing is planned.",
        default="60",
    )
    non_schedulable_seconds: int = option(
        "non-schedulable-interval",
        Duration(),
        "With the real clock, how far ahead a start must lie at least: what is sooner would be"
        " past by the time it is enacted.",
        default="10",
    )
