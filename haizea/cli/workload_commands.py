"""Commands that make and convert workload files."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.cli.options import ParsedOption
from haizea.core.model.lease import Kind, Nodes
from haizea.files import write_whole
from haizea.workloads import values
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.fit import fit
from haizea.workloads.generate import (
    ArOptions,
    Estimate,
    GenerateOptions,
    ar_nodes,
    generate,
    load_of,
)
from haizea.workloads.lublin import LublinModel
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.model import DEFAULT_AMOUNTS, Workload, WorkloadLease, WorkloadSite
from haizea.workloads.plaintext import read_plaintext
from haizea.workloads.reader import Format, format_of, read
from haizea.workloads.requested import RequestedTimes
from haizea.workloads.source import Source
from haizea.workloads.swf_writer import swf_text


class Share(click.FloatRange):
    """A float within a range, where ``nan`` is not a number of use either."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


def _positive_seconds(text: str) -> int:
    seconds = values.duration(text)
    if seconds is None:
        raise ValueError("'unlimited' is not a length of time here")
    return seconds


def _site(text: str) -> WorkloadSite:
    """A site as in configuration files: ``4 CPU:100 Memory:1024``."""
    count, _, rest = text.strip().partition(" ")
    hosts = values.whole(count, 1, values.MAX_HOSTS)
    amounts = values.amounts(rest)
    return WorkloadSite(tuple(amounts), (Nodes(hosts, amounts),))


DURATION = ParsedOption("DURATION", _positive_seconds)
LEAD = ParsedOption("DURATION", values.length)
CAPACITY = ParsedOption("CAPACITY", values.amounts)
SITE = ParsedOption("SITE", _site)
FILE = click.Path(path_type=Path)


def write_pieces(output: Path, pieces: Iterable[str]) -> None:
    """To a file, whole or not at all; to standard output for ``-``."""
    if str(output) == "-":
        # All of it is made before any of it is shown.
        for piece in list(pieces):
            click.echo(piece, nl=False)
    else:
        write_whole(output, pieces)


# --- generate-workload ----------------------------------------------------------------


@click.command("generate-workload", context_settings=HELP)
@click.option("--jobs", type=click.IntRange(1, 10**6), help="Batch jobs to make.")
@click.option("--hosts", type=click.IntRange(1, 10**5), help="Hosts of the site it is for.")
@click.option(
    "--like",
    type=FILE,
    help="Fit the model to this trace: sizes, run times, arrivals, and, where they are not"
    " given, --jobs, --hosts, --load and --estimate.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same file."
)
@click.option(
    "--load",
    type=Share(0.001, 100),
    help="Work asked for, over what the hosts can do until the last arrival: 0.7 is 70 %."
    "  [default: as the model has it]",
)
@click.option(
    "--estimate",
    type=click.Choice([e.value for e in Estimate]),
    help="Requested times: the run time, the run time times a factor, or a round figure"
    " that is 1 to 5 times the run time or more.  [default: exact; with --like, times that are"
    " asked for in the trace]",
)
@click.option(
    "--estimate-factor",
    type=Share(1, 1000),
    default=2.0,
    show_default=True,
    help="For --estimate factor.",
)
@click.option(
    "--ar-share",
    type=Share(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of all work that advance reservations ask for: 0.2 is 20 %.",
)
@click.option(
    "--ar-duration", type=DURATION, default="01:00:00", show_default=True, help="Mean duration."
)
@click.option(
    "--ar-size",
    default="small",
    show_default=True,
    help="Nodes: small (up to a sixth of the hosts), medium (to a third), large (to a half),"
    " a number, or a range like 4-16.",
)
@click.option(
    "--ar-lead",
    type=LEAD,
    default="01:00:00",
    show_default=True,
    help="Mean time from the request to the start.",
)
@click.option(
    "--node-capacity",
    "capacities",
    type=CAPACITY,
    multiple=True,
    metavar="CAPACITY",
    help="Resources of each lease node; give it several times and each lease gets one of"
    " them by chance.  [default: CPU:100 Memory:1024]",
)
@click.option(
    "--host-capacity", type=CAPACITY, help="Each host's.  [default: room for any one node]"
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["swf", "lwf"]),
    help="Format to write.  [default: as the name of OUTPUT ends, else lwf]",
)
@click.argument("output", type=FILE, default="-")
@click.pass_context
def generate_workload(
    ctx: click.Context,
    jobs: int | None,
    hosts: int | None,
    like: Path | None,
    seed: int,
    load: float | None,
    estimate: str | None,
    estimate_factor: float,
    ar_share: float,
    ar_duration: int,
    ar_size: str,
    ar_lead: int,
    capacities: tuple[Mapping[str, int], ...],
    host_capacity: Mapping[str, int] | None,
    format_name: str | None,
    output: Path,
) -> None:
    """Make a workload and write it to OUTPUT (- is standard output).

    Batch jobs follow the model of Lublin and Feitelson (2003), fitted to real
    supercomputers; advance reservations can be mixed in. SWF holds batch jobs of
    one node size, LWF holds everything.

    \b
    Examples:
      haizea generate-workload --jobs 1000 --hosts 64 --load 0.7 batch.swf
      haizea generate-workload --jobs 500 --hosts 32 --load 0.8 \\
          --ar-share 0.2 --ar-size medium mixed.lwf
    """
    trace = None if like is None else read(like)
    model, jobs, hosts, load = _asked(trace, jobs, hosts, load)
    try:
        least, most = ar_nodes(ar_size, hosts)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--ar-size") from None
    options = GenerateOptions(
        jobs=jobs,
        hosts=hosts,
        seed=seed,
        load=load,
        estimate=Estimate(estimate or Estimate.EXACT),
        estimate_factor=estimate_factor,
        ars=ArOptions(
            share=ar_share,
            mean_seconds=ar_duration,
            least_nodes=least,
            most_nodes=most,
            lead_seconds=ar_lead,
        ),
        node_capacities=capacities or (DEFAULT_AMOUNTS,),
        host_capacity=host_capacity,
        model=model,
        requested=RequestedTimes.of(_jobs_of(trace)) if trace and not estimate else None,
    )
    _check_fit(options)
    format_name = format_name or ("swf" if output.suffix == ".swf" else "lwf")
    workload = generate(options)
    write_pieces(output, _generated_text(workload, format_name, _command_line(ctx)))
    click.echo(f"{len(workload.leases)} leases, load {load_of(workload):.3f}", err=True)


def _asked(
    trace: Workload | None, jobs: int | None, hosts: int | None, load: float | None
) -> tuple[LublinModel | None, int, int, float | None]:
    """The model, the jobs, the hosts and the load: as given, else as the trace has them."""
    model: LublinModel | None = None
    if trace is not None:
        hosts = hosts or _hosts_of(trace)
        model = fit(trace, hosts)
        jobs = jobs or len(_jobs_of(trace))
        load = load or _load_on(trace, hosts)
    if jobs is None or hosts is None:
        raise click.UsageError("--jobs and --hosts are missing, or --like, which tells both.")
    return model, jobs, hosts, load


def _jobs_of(trace: Workload) -> list[WorkloadLease]:
    return [lease for lease in trace.leases if lease.kind is Kind.BEST_EFFORT]


def _hosts_of(trace: Workload) -> int:
    """The hosts that a trace is of: those of its site, else as many as its largest lease needs."""
    if trace.site is not None:
        return sum(group.count for group in trace.site.hosts)
    return max((lease.node_count for lease in trace.leases), default=1)


def _load_on(trace: Workload, hosts: int) -> float:
    """The load of a trace on so many hosts, each as large as one of its nodes."""
    each = trace.leases[0].nodes[0].amounts
    return load_of(replace(trace, site=WorkloadSite(tuple(each), (Nodes(hosts, each),))))


def _generated_text(workload: Workload, format_name: str, command: str) -> Iterable[str]:
    if workload.leases[-1].arrival_seconds > values.MAX_SECONDS:
        raise click.BadParameter(
            "so low a load with so many jobs takes more than 3,000 years", param_hint="--load"
        )
    if format_name == "swf":
        return swf_text(workload, [f"made by: {command}"])
    return lwf_text(replace(workload, description=f"Made by: {command}"))


def _check_fit(options: GenerateOptions) -> None:
    host = options.host()
    for capacity in options.node_capacities:
        for name, amount in capacity.items():
            if amount > host.get(name, 0):
                raise click.BadParameter(
                    f"{name}:{amount} of a node does not fit a host with"
                    f" {name}:{host.get(name, 0)}; enlarge the host or shrink the node",
                    param_hint="--host-capacity",
                )
    if not all(any(capacity.values()) for capacity in options.node_capacities):
        raise click.BadParameter("a node asks for something", param_hint="--node-capacity")


def _command_line(ctx: click.Context) -> str:
    """The options that were given, in a fixed order, so that the same file says the same."""
    words = ["haizea", "generate-workload"]
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if (
            not isinstance(param, click.Option)
            or source is not click.core.ParameterSource.COMMANDLINE
        ):
            continue
        given = ctx.params[param.name or ""]
        for value in given if param.multiple else [given]:
            words += [param.opts[0], _as_text(value)]
    return shlex.join(words)


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}:{amount}" for name, amount in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


# --- converters -----------------------------------------------------------------------


def _one_of(argument: Path | None, option: Path | None, what: str, default: str | None) -> Path:
    """The file that was given as an argument or, as formerly, with an option."""
    if argument is not None and option is not None:
        raise click.UsageError(f"{what} is given twice: {argument} and {option}")
    chosen = argument or option or (Path(default) if default else None)
    if chosen is None:
        raise click.UsageError(f"{what} is missing")
    return chosen


@click.command("lwf2xml", context_settings=HELP)
@click.argument("leases", type=FILE, required=False)
@click.argument("output", type=FILE, required=False)
@click.option("-i", "--in", "in_option", type=FILE, help="Same as LEASES.")
@click.option("-o", "--out", "out_option", type=FILE, help="Same as OUTPUT.")
def lwf2xml(
    leases: Path | None, output: Path | None, in_option: Path | None, out_option: Path | None
) -> None:
    """Convert a ten-column lease list to LWF (XML).

    LEASES is the file of an earlier version of Haizea; its lines are
    submit, start, duration, real duration (seconds; start -1 is best-effort),
    nodes, cores, memory and disk (MB), 'image' and its size (MB). OUTPUT is the
    LWF file (by default standard output).

    Haizea reads such lists as they are, too; convert them to edit them.

    \b
    Example:
      haizea lwf2xml injected.txt injected.lwf
    """
    source = Source(_one_of(leases, in_option, "the file of leases", None))
    target = _one_of(output, out_option, "the output", "-")
    found = format_of(source)
    if found is Format.LWF:
        raise WrongInput(f"{source.name}: is LWF in XML already; there is nothing to convert")
    workload = read_plaintext(source)
    write_pieces(target, lwf_text(workload))


@click.command("csv2lwf", context_settings=HELP)
@click.argument("table", type=FILE, required=False)
@click.argument("output", type=FILE, required=False)
@click.option("-i", "--in", "in_option", type=FILE, help="Same as TABLE.")
@click.option("-o", "--out", "out_option", type=FILE, help="Same as OUTPUT.")
@click.option(
    "-s",
    "--site",
    type=SITE,
    help='Hosts to write into the file, as in "4 CPU:100 Memory:1024".  [default: none]',
)
def csv2lwf(
    table: Path | None,
    output: Path | None,
    in_option: Path | None,
    out_option: Path | None,
    site: WorkloadSite | None,
) -> None:
    """Convert a table of leases (CSV) to LWF (XML).

    The first line of TABLE names its columns, in any order; only duration is
    required: arrival (default 0), start (empty for best-effort, now, or a time),
    duration, realduration, nodes (1), cpu (percent per node, 100), memory (MB per
    node, 1024), image and image_size (MB), preemptible (yes or no; by default
    best-effort leases are), id. Times are seconds, HH:MM:SS or 1h30m after the
    workload's start.

    \b
    Example:
      arrival,start,duration,nodes,preemptible
      0,,01:00:00,1,yes
      00:15:00,00:30:00,00:30:00,4,no

    \b
      haizea csv2lwf --site "4 CPU:100 Memory:1024" leases.csv leases.lwf
    """
    source = Source(_one_of(table, in_option, "the table of leases", None))
    target = _one_of(output, out_option, "the output", "-")
    workload = read_csv(source, site)
    write_pieces(target, lwf_text(workload))
