"""The options of ``[opennebula]``: how it is reached, whose VMs count, what is done there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from haizea.config.option import Required, option
from haizea.config.values import Boolean, Choice, Duration, FilePath, Integer, Number, Text
from haizea.config.words import Mode

_OPENNEBULA = Required(
    "where mode is opennebula",
    (("general", "mode"),),
    lambda c: c.general.mode is Mode.OPENNEBULA,
)


class VmStates(StrEnum):
    """In which states VMs wait for a lease."""

    AUTO = "auto"
    PENDING = "pending"
    HOLD = "hold"
    BOTH = "both"


class DefaultLease(StrEnum):
    """Lease that VMs without ``HAIZEA`` get, if any."""

    BEST_EFFORT = "best-effort"
    NOW = "now"
    NONE = "none"


class PreemptWith(StrEnum):
    """Way to save a VM that makes room."""

    STOP = "stop"
    SUSPEND = "suspend"


class ReadyBy(StrEnum):
    """Moment at which the VMs of a reservation are deployed."""

    START = "start"
    DEPLOY = "deploy"


class DurationFrom(StrEnum):
    """Moment from which the duration of a lease without a start counts."""

    RUNNING = "running"
    DEPLOYMENT = "deployment"


class HostPolicy(StrEnum):
    """Ranking of hosts for VMs that have no rank."""

    PACKING = "packing"
    STRIPING = "striping"
    LOAD_AWARE = "load-aware"
    FIXED = "fixed"
    CUSTOM = "custom"


class DatastorePolicy(StrEnum):
    """Ranking of system datastores for VMs that have no rank for them."""

    PACKING = "packing"
    STRIPING = "striping"
    FIXED = "fixed"
    CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True)
class OpenNebula:
    """Ways to reach and drive OpenNebula; used where mode is opennebula.

    Haizea's user is the one in the file that ONE_AUTH names, else ~/.one/one_auth; it needs
    administration rights on the VMs, as oneadmin has them.
    """

    NAME: ClassVar[str] = "opennebula"

    host: str | None = option(
        "host",
        Text("a host's name or address"),
        "Host of OpenNebula's daemon.",
        required=_OPENNEBULA,
        example="localhost",
    )
    port: int = option(
        "port",
        Integer(least=1, most=65535),
        "The port of its XML-RPC interface.",
        default="2633",
    )
    url: str | None = option(
        "url",
        Text("an address such as https://one.example.org/RPC2"),
        "The whole address of the XML-RPC interface, in place of host and port, where it is"
        " behind a proxy or served over TLS.",
        example="https://one.example.org/RPC2",
    )
    certificates: Path | None = option(
        "certificates",
        FilePath(),
        "The authorities to trust where the url is https (PEM), in place of the system's.",
        example="/etc/ssl/one.pem",
    )
    events: str | None = option(
        "events",
        Text("an address such as tcp://localhost:2101; or none"),
        "Address at which OpenNebula publishes its events; auto is host, at the port that"
        " OpenNebula says, none is for looking every wakeup-interval, and at what is under way"
        " every second."
        " OpenNebula 1.4 has none.",
        default="auto",
        example="tcp://localhost:2101",
    )
    vm_states: VmStates = option(
        "vm-states",
        Choice(VmStates),
        "Waiting VMs that are Haizea's: those in state PENDING, where no other scheduler runs;"
        " those on HOLD, beside the scheduler of OpenNebula 7; or both. auto is pending up to"
        " OpenNebula 6, and hold from 7 on. What has a lease keeps it where this changes.",
        default="auto",
    )
    default_lease: DefaultLease = option(
        "default-lease",
        Choice(DefaultLease),
        "Kind of a VM without a HAIZEA attribute: best-effort, it waits until it fits; now, it"
        " starts at once or is rejected; none, it is left to others. It runs without end and is"
        " not preemptible.",
        default="best-effort",
    )
    group_settling_seconds: int = option(
        "group-settling",
        Duration(),
        "For how long no VM must have come to a group without a GROUP_SIZE until it counts as"
        " complete.",
        default="10",
    )
    preempt_with: PreemptWith = option(
        "preempt-with",
        Choice(PreemptWith),
        "Way of saving VMs that make room: stop, their memory goes to the system datastore and"
        " they may go on on any host; suspend, it stays on the host, faster, and OpenNebula"
        " counts them there still, so that its own figures show more than the host has.",
        default="stop",
    )
    ready_by: ReadyBy = option(
        "ready-by",
        Choice(ReadyBy),
        "Moment at which a reservation's VMs are deployed: start, so long before its start that"
        " they run then, by what deploying such VMs took before; deploy, at its start, so that"
        " they run once their images are copied and they have booted.",
        default="start",
    )
    duration_from: DurationFrom = option(
        "duration-from",
        Choice(DurationFrom),
        "Moment from which the duration of a lease without a start counts: running, from when all"
        " its VMs run; deployment, from when they are deployed, so that copying images and booting"
        " are part of it.",
        default="running",
    )
    ready_certainty: int = option(
        "ready-certainty",
        Integer("percent", least=50, most=99),
        "With how much certainty all VMs of a reservation are to run at its start, where ready-by"
        " is start. More of it holds hosts for longer before.",
        default="98",
    )
    image_rate_mb_s: float = option(
        "image-rate",
        Number("MB/s", positive=True),
        "Rate at which images are taken to be copied to hosts, until some were.",
        default="100",
    )
    boot_seconds: int = option(
        "boot-time",
        Duration(),
        "Time that VMs are taken to need for booting, until some have booted.",
        default="10",
    )
    host_policy: HostPolicy = option(
        "host-policy",
        Choice(HostPolicy),
        "Hosts that are preferred for VMs without a rank of their own: packing, those with most"
        " VMs; striping, those with fewest; load-aware, those with most free CPU; fixed, those"
        " with the highest PRIORITY; custom, as host-rank says.",
        default="striping",
    )
    host_rank: str = option(
        "host-rank",
        Text("a rank expression"),
        "The rank of hosts where host-policy is custom.",
        default="FREE_CPU",
        example="FREE_CPU - RUNNING_VMS",
    )
    datastore_policy: DatastorePolicy = option(
        "datastore-policy",
        Choice(DatastorePolicy),
        "System datastores that are preferred: packing, those with the least free space;"
        " striping, those with the most; fixed, by PRIORITY; custom, as datastore-rank says.",
        default="striping",
    )
    datastore_rank: str = option(
        "datastore-rank",
        Text("a rank expression"),
        "The rank of datastores where datastore-policy is custom.",
        default="FREE_MB",
    )
    commands: int = option(
        "commands",
        Integer("commands", least=1, most=64),
        "Number of commands sent at the same time.",
        default="8",
    )
    commands_per_host: int = option(
        "commands-per-host",
        Integer("operations", least=1),
        "Most VMs of one host that are started, saved or ended at the same time.",
        default="10",
    )
    command_timeout_seconds: int = option(
        "command-timeout",
        Duration(least=1),
        "After how long in one of the states that pass by themselves a VM counts as hanging.",
        default="900",
    )
    command_retries: int = option(
        "command-retries",
        Integer("times"),
        "Number of times that what failed is tried again before the lease is placed anew or fails.",
        default="3",
    )
    shutdown_grace_seconds: int = option(
        "shutdown-grace",
        Duration(),
        "Time that a VM may take to shut down at the end of its lease before it is shut down hard.",
        default="60",
    )
    host_grace_seconds: int = option(
        "host-grace",
        Duration(),
        "Time for which OpenNebula may be unable to monitor a host until the VMs there count as"
        " lost. Nothing is started on it from the first moment on.",
        default="120",
    )
    stop_when_no_more_leases: bool = option(
        "stop-when-no-more-leases",
        Boolean(),
        "Ends Haizea when no lease is left, rather than waiting for the next.",
        default="no",
    )
    dry_run: bool = option(
        "dry-run",
        Boolean(),
        "Logs commands rather than sending them. Leases are then kept in memory only.",
        default="no",
    )
