"""The bench's command."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.build import compiled
from bench.case import Case
from bench.cases import AXES, every_case
from bench.measure import HAIZEA, ROOT, ChildFailed, run
from bench.page import write_page
from bench.report import renewed, report
from bench.suite import Bench, Figures, decision_times
from bench.workloads import SharedDataAbsent

RESULTS = Path(__file__).resolve().parent / "results"

#: Where time goes is shown for these.
PROFILED = (
    "blue-60",
    "generated-10k",
    "blue-30-conservative",
    "blue-30-ars",
    "vms-1000",
    "images",
    "ars-8683",
    "ars-no-migration-8683",
    "ars-ahead-16000",
    "types-deep-240",
    "types-deep-256-250",
    "types-bursts-125",
    "vms-conservative-1000",
    "vms-easy-1250",
)


@click.command(context_settings={"max_content_width": 100})
@click.option("--quick", is_flag=True, help="Few workloads, run once: one or two minutes.")
@click.option(
    "--only",
    "names",
    metavar="NAME",
    multiple=True,
    help="Only this case, axis or 'decision'; may be given several times.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    help="Runs of each case, whose median counts.  [default: 3; 1 with --quick]",
)
@click.option("--list", "listed", is_flag=True, help="List cases and axes, and run nothing.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here.  [default: bench/results/full.json after a full run]",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make traces and results here and leave them there.  [default: a temporary folder]",
)
@click.option(
    "--compile", "compiles", is_flag=True, help="Compile a copy of Haizea and measure it, too."
)
@click.option(
    "--renew",
    is_flag=True,
    help="With --only: measure these rows of the page anew, and keep the others.",
)
@click.option("--page", is_flag=True, help="Only write docs/performance.md from the figures.")
def main(
    quick: bool,
    names: tuple[str, ...],
    repeats: int | None,
    listed: bool,
    output: Path | None,
    folder: Path | None,
    compiles: bool,
    renew: bool,
    page: bool,
) -> None:
    """Measure how fast Haizea simulates, in leases per CPU second.

    Each workload is run by the 'haizea' command in a process of its own, results file and
    all, in turn with a yardstick: a simulator that only counts nodes. What is reported is
    the median of user and system time. No figure is reported of a run that
    'check-schedule' faults, or whose start times are not the reference's or the
    yardstick's. A growth exponent of 1 means: twice as much, twice the time.

    A full run takes some hours, and writes docs/performance.md; let the machine be idle.
    Blue Horizon's traces are taken from the shared data (the folder that HAIZEA_SHARED_DATA
    names, else ../shared/data); without them those cases are left out.

    \b
    Examples:
      python -m bench --compile             everything, interpreted and compiled
      python -m bench --quick               a first impression
      python -m bench --only blue-60 --only queue-depth --repeats 5
      python -m bench --compile --only ars-ahead --renew     these rows of the page anew
    """
    if listed:
        _list()
        return
    committed = RESULTS / "full.json"
    if page:
        write_page(json.loads((output or committed).read_text(encoding="utf-8")))
        return
    if renew and not names:
        raise click.UsageError("--renew is for the rows that --only names")
    cases = _chosen(names, quick)
    with _folder(folder) as made:
        fast = _compiled(made) if compiles else None
        for place in (ROOT, fast) if fast else (ROOT,):
            run([HAIZEA[0], "-m", "compileall", "-q", "haizea"], 600, place)
        bench = Bench(made, repeats or (1 if quick else 3), click.echo, fast)
        found = _measure(bench, cases, wants_decision=not names or "decision" in names)
        profiles = {} if quick or (names and not renew) else _profiles(bench, cases, made)
    if renew:
        before = json.loads((output or committed).read_text(encoding="utf-8"))
        found = renewed(before, found[0]), found[1] or before["decision"]
        profiles = {**before["profiles"], **profiles}
    result = report(*found, profiles, quick)
    _print_targets(result)
    whole = not quick and not names
    if output is None and (whole or renew):
        output = committed
    if output is not None:
        output.parent.mkdir(exist_ok=True)
        output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(f"\nFigures: {output}")
    if whole or renew:
        write_page(result)


def _compiled(folder: Path) -> Path:
    click.echo("Compiling …")
    try:
        return compiled(folder)
    except ChildFailed as error:
        raise click.ClickException(str(error)) from error


def _measure(
    bench: Bench, cases: list[Case], wants_decision: bool
) -> tuple[list[Figures], dict[str, float] | None]:
    measured = [bench.measure(case) for case in cases]
    decision = None
    if wants_decision:
        try:
            decision = decision_times()
        except ChildFailed as error:
            raise click.ClickException(f"timing the decision failed: {error}") from error
        click.echo(
            f"{'decision':22} {decision['median_ms']:.1f} ms, at most {decision['worst_ms']:.1f} ms"
        )
    click.echo("\nTesting the schedules …")
    return bench.check(cases, measured), decision


def _profiles(bench: Bench, cases: list[Case], folder: Path) -> dict[str, Any]:
    found = {}
    for case in cases:
        if case.name in PROFILED:
            try:
                config = bench.prepare(case).config
                command = [HAIZEA[0], "-m", "bench.profiles", str(config), str(folder / "profiled")]
                found[case.name] = json.loads(run(command, 600)[1])
            except (ChildFailed, SharedDataAbsent) as error:
                click.echo(f"{case.name}: no profile, {error}", err=True)
    return found


def _chosen(names: tuple[str, ...], quick: bool) -> list[Case]:
    cases = every_case()
    axes = {axis.name: [case.name for case, _ in axis.cases] for axis in AXES}
    wanted: list[str] = []
    for name in names:
        if name not in cases and name not in axes and name != "decision":
            raise click.BadParameter(
                f"{name!r} is no case or axis; see --list", param_hint="--only"
            )
        wanted += axes.get(name, [name])
    if names:
        return [case for case in cases.values() if case.name in wanted]
    return [case for case in cases.values() if case.quick or not quick]


def _list() -> None:
    for case in every_case().values():
        click.echo(f"{case.name:22} {'q' if case.quick else ' '} {case.title}")
    click.echo("decision               q one AR of 100 nodes, 10,000 hosts, 50,000 reservations")
    click.echo("\nAxes (q above: part of a quick run):")
    for axis in AXES:
        click.echo(f"{axis.name:22}   {', '.join(case.name for case, _ in axis.cases)}")


def _print_targets(result: dict[str, Any]) -> None:
    click.echo("\nGrowth exponents")
    for axis in result["axes"]:
        if axis["exponent"] is not None:
            click.echo(f"  {axis['title']:40} {axis['exponent']:.2f}")
    click.echo("\nTargets")
    for entry in result["targets"]:
        if entry["measured"] != "–":
            click.echo(
                f"  {entry['subject']:22} {entry['what']:40} {entry['target']:>10}"
                f" {entry['measured']:>10}  {entry['verdict']}"
                + (f"; compiled {entry['compiled']}" if entry["compiled"] else "")
            )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="haizea-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


if __name__ == "__main__":
    main()
