"""``haizea scale-workload``: a workload with more or less load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from haizea.cli.help import HELP
from haizea.cli.workload_commands import FILE, Share, write_pieces
from haizea.workloads import ReadOptions, read
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.scaling import ScaleBy, scaled
from haizea.workloads.swf_writer import swf_text


@click.command("scale-workload", context_settings=HELP)
@click.option("--factor", type=Share(0.01, 100), required=True, help="Multiply the load by this.")
@click.option(
    "--by",
    type=click.Choice([way.value for way in ScaleBy]),
    default=ScaleBy.ARRIVAL.value,
    show_default=True,
    help="arrival: leases come sooner one after the other; size: they have more nodes;"
    " repetition: there are more of them.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Same seed, same file: sizes and repetitions are rounded by chance.",
)
@click.option(
    "--processors-per-node",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processors of an SWF file that make a node.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["swf", "lwf"]),
    help="Format to write.  [default: as the name of OUTPUT ends, else lwf]",
)
@click.argument("workload", type=FILE)
@click.argument("output", type=FILE, default="-")
def scale_workload(
    factor: float,
    by: str,
    seed: int,
    processors_per_node: int,
    format_name: str | None,
    workload: Path,
    output: Path,
) -> None:
    """Multiply the load of WORKLOAD, and write it to OUTPUT (- is standard output).

    What each way keeps and what it bends is told in docs/formats.md.

    \b
    Example:
      haizea scale-workload --factor 1.2 --by repetition month.swf busier.swf
    """
    found = read(workload, ReadOptions(processors_per_node))
    told = f"The load of {workload.name} times {factor:g}, by {by}, seed {seed}."
    made = scaled(found, factor, ScaleBy(by), seed)
    made = replace(made, description=" ".join(filter(None, [found.description, told])))
    format_name = format_name or ("swf" if output.suffix == ".swf" else "lwf")
    write_pieces(output, swf_text(made) if format_name == "swf" else lwf_text(made))
    click.echo(f"{len(made.leases)} leases; there were {len(found.leases)}", err=True)
