"""The workloads that are measured: files for ``haizea run``, made in a folder of the bench's.

Blue Horizon's traces are read from the shared data where they are present. The others
are generated, from fixed seeds: the same files on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.traces import read_jobs
from haizea.core.model.lease import Kind, Nodes
from haizea.workloads import read
from haizea.workloads.generate import ArOptions, Estimate, GenerateOptions, ar_nodes, generate
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.model import Workload, WorkloadLease, WorkloadSite, by_arrival
from haizea.workloads.swf_writer import swf_text

BLUE_HOSTS = 144
MONTH_SECONDS = 30 * 86_400

#: Hosts of three sizes and the shares of a site that they make up.
HOST_SIZES = (
    (0.5, {"CPU": 1600, "Memory": 32_768}),
    (0.3, {"CPU": 3200, "Memory": 131_072}),
    (0.2, {"CPU": 6400, "Memory": 262_144}),
)
#: The twenty sizes of VMs: five numbers of cores, each with four amounts of memory.
VM_SIZES = tuple(
    {"CPU": 100 * cores, "Memory": cores * memory_mb}
    for cores in (1, 2, 4, 8, 16)
    for memory_mb in (512, 1024, 2048, 4096)
)
#: VM requests are as many nodes wide as on a machine of this size.
VM_MACHINE = 128


class SharedDataAbsent(Exception):
    """A workload needs a file of the shared data that is not there."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workload that is ready to run.

    ``config`` is the configuration, without a datafile. ``trace`` is an SWF file that a
    yardstick can read, if there is one, ``sums`` what jobs need of each type of resources, for one
    that counts that, and ``reference`` has start times to agree with.
    """

    config: Path
    leases: int
    hosts: int
    trace: Path | None = None
    sums: Path | None = None
    reference: Path | None = None


Sections = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """The options of a run that differ between workloads."""

    backfilling: str = "aggressive"
    more: Sections = field(default_factory=dict)


SUSPENSION: Sections = {
    "scheduling": {
        "suspension": "all",
        "migration": "yes",
        "policy-preemption": "ar-preempts-everything",
    }
}


def shared(path: str) -> Path:
    """A file of the shared data. Raises :class:`SharedDataAbsent` where it is not there."""
    base = os.environ.get("HAIZEA_SHARED_DATA")
    root = Path(__file__).resolve().parent.parent
    found = (Path(base) if base else root.parent / "shared" / "data") / path
    if not found.exists():
        raise SharedDataAbsent(
            f"the shared data has no {path}: set HAIZEA_SHARED_DATA to its directory"
        )
    return found


# --- Blue Horizon -----------------------------------------------------------------------


def blue(folder: Path, trace: str, how: Scheduling) -> Prepared:
    """One of Blue Horizon's traces; with what ``how`` adds, there may be no reference."""
    source = shared(f"reference/{trace}.normalised.swf")
    reference = None
    if not how.more:
        name = {"aggressive": "easy"}.get(how.backfilling, how.backfilling)
        reference = shared(f"reference/{trace}.{name}.csv")
    jobs = read_jobs(source)
    config = _configure(folder, source, how, f"{BLUE_HOSTS} CPU:100 Memory:1024")
    return Prepared(config, len(jobs), BLUE_HOSTS, source, reference)


def blue_two_months(folder: Path, how: Scheduling) -> Prepared:
    """Make 60 days of Blue Horizon: the 30 days, and the same 30 days once more."""
    jobs = read_jobs(shared("reference/30days.normalised.swf"))
    again = [job._replace(submitted=job.submitted + MONTH_SECONDS) for job in jobs]
    leases = [
        WorkloadLease(
            arrival_seconds=job.submitted,
            kind=Kind.BEST_EFFORT,
            start=None,
            nodes=(Nodes(job.nodes, {"CPU": 100, "Memory": 1024}),),
            duration=job.requested_seconds,
            real_duration_seconds=job.run_seconds,
            preemptible=True,
        )
        for job in (*jobs, *again)
    ]
    site = WorkloadSite(("CPU", "Memory"), (Nodes(BLUE_HOSTS, {"CPU": 100, "Memory": 1024}),))
    return _as_swf(folder, Workload("two months", by_arrival(leases), site=site), how)


def blue_with_reservations(folder: Path, injected: str, how: Scheduling) -> Prepared:
    """Blue Horizon's 30 days with a file of advance reservations injected."""
    reservations = shared(f"blue/injected-30days/{injected}.lwf")
    source = shared("reference/30days.normalised.swf")
    count = len(read_jobs(source)) + len(read(reservations).leases)
    more = _merged(how.more, {"tracefile": {"injectionfile": str(reservations)}})
    config = _configure(
        folder, source, replace(how, more=more), f"{BLUE_HOSTS} CPU:100 Memory:1024"
    )
    return Prepared(config, count, BLUE_HOSTS)


# --- generated --------------------------------------------------------------------------


def generated(folder: Path, jobs: int, hosts: int, load: float, how: Scheduling) -> Prepared:
    """Jobs of the Lublin–Feitelson model on whole hosts, at a load."""
    options = GenerateOptions(jobs=jobs, hosts=hosts, load=load, estimate=Estimate.ROUND)
    return _as_swf(folder, generate(options), how)


def bursts(folder: Path, jobs: int, hosts: int, depth: int, how: Scheduling) -> Prepared:
    """The same jobs at load 0.8, but ``depth`` of them arrive at a time: so deep is the queue."""
    options = GenerateOptions(jobs=jobs, hosts=hosts, load=0.8, estimate=Estimate.ROUND)
    workload = generate(options)
    leases = [
        replace(lease, arrival_seconds=workload.leases[i - i % depth].arrival_seconds)
        for i, lease in enumerate(workload.leases)
    ]
    return _as_swf(folder, replace(workload, leases=tuple(leases)), how)


def on_more_hosts(folder: Path, jobs: int, hosts: int, how: Scheduling) -> Prepared:
    """The jobs of a machine of 128 hosts, coming so much faster that ``hosts`` are as loaded."""
    options = GenerateOptions(jobs=jobs, hosts=128, load=0.8, estimate=Estimate.ROUND)
    site = WorkloadSite(("CPU", "Memory"), (Nodes(hosts, {"CPU": 100, "Memory": 1024}),))
    return _as_swf(folder, _faster(generate(options), hosts / 128, site), how)


def virtual_machines(folder: Path, requests: int, hosts: int, how: Scheduling) -> Prepared:
    """Requests of VMs of twenty sizes, up to 128 of them, on hosts of three sizes at load 0.8."""
    mean = {
        name: sum(round(share * amounts[name]) for share, amounts in HOST_SIZES)
        for name in ("CPU", "Memory")
    }
    options = GenerateOptions(
        jobs=requests,
        hosts=VM_MACHINE,
        load=0.8,
        estimate=Estimate.ROUND,
        node_capacities=VM_SIZES,
        host_capacity=mean,
    )
    groups = tuple(Nodes(round(share * hosts), amounts) for share, amounts in HOST_SIZES)
    site = WorkloadSite(("CPU", "Memory"), groups)
    return write_lwf(folder, _faster(generate(options), hosts / VM_MACHINE, site), how)


def with_reservations(
    folder: Path, jobs: int, hosts: int, how: Scheduling, mean_seconds: int = 7200
) -> Prepared:
    """Generated jobs with ARs for a fifth of the work; the shorter they are, the more."""
    least, most = ar_nodes("small", hosts)
    ars = ArOptions(
        share=0.2,
        mean_seconds=mean_seconds,
        least_nodes=least,
        most_nodes=most,
        lead_seconds=4 * 3600,
    )
    options = GenerateOptions(jobs=jobs, hosts=hosts, load=0.8, estimate=Estimate.ROUND, ars=ars)
    return write_lwf(folder, generate(options), how)


def resource_types(folder: Path, jobs: int, hosts: int, types: int, how: Scheduling) -> Prepared:
    """Generated jobs on hosts that have so many types of resources; the nodes need all."""
    options = GenerateOptions(
        jobs=jobs,
        hosts=hosts,
        load=0.8,
        estimate=Estimate.ROUND,
        node_capacities=sizes_of_node(types),
    )
    return write_lwf(folder, generate(options), how)


def sizes_of_node(types: int) -> tuple[Mapping[str, int], ...]:
    """Nodes of a quarter, a half and all of a host of so many types of resources."""
    names = ("CPU", "Memory", *(f"Type{i}" for i in range(3, types + 1)))[:types]
    return tuple(
        {name: (100 if name == "CPU" else 1024) * share for name in names} for share in (1, 2, 4)
    )


def with_images(folder: Path, jobs: int, hosts: int, how: Scheduling) -> Prepared:
    """Generated jobs that boot from 37 images of 0.5 to 5 GB, sent over one link."""
    options = GenerateOptions(jobs=jobs, hosts=hosts, load=0.8, estimate=Estimate.ROUND)
    images = folder / "images"
    sizes = [f"image-{i} {512 * (1 + i % 10)}\n" for i in range(37)]
    chosen = [f"image-{i * i % 37}\n" for i in range(jobs)]
    images.write_text("".join([*sizes, "#\n", *chosen]), encoding="utf-8")
    more: Sections = {
        "general": {"lease-preparation": "imagetransfer"},
        "simulation": {"imagetransfer-bandwidth": "10000"},
        "tracefile": {"imagefile": str(images)},
        "deploy-imagetransfer": {
            "transfer-mechanism": "multicast",
            "avoid-redundant-transfers": "yes",
            "diskimage-reuse": "image-caches",
            "diskimage-cache-size": "20480",
        },
    }
    how = replace(how, more=_merged(how.more, more))
    return replace(_as_swf(folder, generate(options), how), trace=None)


def one_lease(folder: Path) -> Prepared:
    """A single lease: what is left is starting up."""
    options = GenerateOptions(jobs=1, hosts=4)
    return replace(_as_swf(folder, generate(options), Scheduling()), trace=None)


# --- files ------------------------------------------------------------------------------


def _faster(workload: Workload, factor: float, site: WorkloadSite) -> Workload:
    """The same leases, arriving so many times as fast, on another site."""
    leases = [
        replace(lease, arrival_seconds=round(lease.arrival_seconds / factor))
        for lease in workload.leases
    ]
    return replace(workload, leases=tuple(leases), site=site)


def _as_swf(folder: Path, workload: Workload, how: Scheduling) -> Prepared:
    trace = folder / "trace.swf"
    _write(trace, swf_text(workload))
    config = _configure(folder, trace, how, "in-tracefile")
    return Prepared(config, len(workload.leases), _host_count(workload), trace)


def write_lwf(folder: Path, workload: Workload, how: Scheduling) -> Prepared:
    """A workload as an LWF file, with a configuration that runs it."""
    trace = folder / "trace.lwf"
    _write(trace, lwf_text(workload))
    config = _configure(folder, trace, how, "in-tracefile")
    sums = None
    if all(lease.kind is Kind.BEST_EFFORT for lease in workload.leases):
        sums = folder / "sums"
        _write(sums, _sums(workload))
    return Prepared(config, len(workload.leases), _host_count(workload), sums=sums)


def _sums(workload: Workload) -> Iterator[str]:
    """Lines of what the site has in all, and of when jobs come, how long, and what they need."""
    site = workload.site
    assert site is not None, "the workload has a site"

    def summed(groups: Sequence[Nodes]) -> str:
        sums = [sum(g.count * g.amounts.get(name, 0) for g in groups) for name in site.types]
        return " ".join(map(str, sums))

    yield f"{summed(site.hosts)}\n"
    for lease in workload.leases:
        requested, run = lease.duration, lease.real_duration_seconds
        run = requested if run is None else run
        yield f"{lease.arrival_seconds} {requested} {run} {summed(lease.nodes)}\n"


def _host_count(workload: Workload) -> int:
    assert workload.site is not None, "the workload has a site"
    return sum(group.count for group in workload.site.hosts)


def _write(path: Path, pieces: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces)


def without_probes(config: Path) -> Path:
    """A configuration beside this one that differs in that no probe is on."""
    plain = config.with_name(f"{config.stem}-without-probes.conf")
    text = config.read_text(encoding="utf-8")
    plain.write_text(text + "[accounting]\nprobes: none\n", encoding="utf-8")
    return plain


def _configure(folder: Path, trace: Path, how: Scheduling, resources: str) -> Path:
    sections = _merged(
        {
            "general": {"loglevel": "STATUS"},
            "scheduling": {"backfilling": how.backfilling, "suspension": "none"},
            "simulation": {"resources": resources},
            "tracefile": {"tracefile": str(trace)},
        },
        how.more,
    )
    config = folder / "haizea.conf"
    with config.open("w", encoding="utf-8") as file:
        for section, options in sections.items():
            file.write(f"[{section}]\n")
            file.writelines(f"{option}: {value}\n" for option, value in options.items())
    return config


def _merged(one: Sections, other: Sections) -> Sections:
    """Both, the other's options before the one's."""
    names = dict.fromkeys((*one, *other))
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in names}
