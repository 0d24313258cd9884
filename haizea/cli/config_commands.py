"""Commands about configurations: a sample, and studies of many runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from haizea.cli.help import HELP
from haizea.config.multi import Member, expand
from haizea.config.reference import sample_configuration

_CONF = click.option(
    "-c", "--conf", required=True, metavar="MULTI", help="The multi-configuration file."
)

_SCRIPT = """\
#!/bin/sh
# Runs the configurations of {study}, written by haizea generate-scripts.
# Start it in the directory that it was written in; its argument is how many
# configurations run at the same time. HAIZEA names another haizea to run.
# A run that fails does not stop the others; the exit status tells of it.

mkdir -p -- {directories} || exit 1
printf '%s\\0' {configurations} |
    xargs -0 -n 1 -P "${{1:-{jobs}}}" -- "${{HAIZEA:-haizea}}" -c
"""

_NOTHING = """\
#!/bin/sh
# Every configuration of {study} has its results already.
"""


@click.command("sample-config", context_settings=HELP)
def sample_config() -> None:
    """Print a sample configuration in which every option is explained."""
    click.echo(sample_configuration(), nl=False)


@click.command("generate-configs", context_settings=HELP)
@_CONF
@click.option(
    "-d", "--dir", "directory", required=True, metavar="DIR", help="Folder to write them to."
)
def generate_configs(conf: str, directory: str) -> None:
    """Write the configurations of a study: one for every combination of profile, trace
    and injected trace that the multi-configuration file MULTI names.

    Each is called PROFILE_TRACE_INJECTION.conf, has a datafile of its own in
    basedatadir, and labels (attributes) that tell its results from the others'.
    """
    members = expand(conf)
    where = Path(directory)
    for folder in [where, *_data_directories(members)]:
        folder.mkdir(parents=True, exist_ok=True)
    for member in members:
        _path(where, member).write_text(member.text, encoding="utf-8")
    click.echo(f"{len(members)} configurations written to {where}")


@click.command("generate-scripts", context_settings=HELP)
@_CONF
@click.option(
    "-d",
    "--dir",
    "directory",
    required=True,
    metavar="DIR",
    help="Folder to which generate-configs wrote the configurations.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The script to write; without it, the script is printed.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of runs at the same time.",
)
@click.option(
    "-m", "--only-missing", is_flag=True, help="Leave out those that have their results already."
)
def generate_scripts(
    conf: str, directory: str, output: str | None, jobs: int, only_missing: bool
) -> None:
    """Write a shell script that runs all configurations of a study."""
    members = expand(conf)
    where = Path(directory)
    for member in members:
        if not _path(where, member).is_file():
            raise click.UsageError(
                f"there is no {_path(where, member)}:"
                f" run 'haizea generate-configs -c {conf} -d {directory}' first."
            )
    wanted = [m for m in members if not (only_missing and _datafile(m).exists())]
    script = _script(conf, where, wanted, jobs)
    if output is None:
        click.echo(script, nl=False)
        return
    file = Path(output)
    file.write_text(script, encoding="utf-8")
    file.chmod(file.stat().st_mode | 0o111)
    click.echo(f"{output} runs {len(wanted)} configurations")


def _script(conf: str, where: Path, members: Sequence[Member], jobs: int) -> str:
    study = Path(conf).name
    if not members:
        return _NOTHING.format(study=study)
    return _SCRIPT.format(
        study=study,
        directories=shlex.join(str(d) for d in _data_directories(members)),
        configurations=" \\\n    ".join(shlex.quote(str(_path(where, m))) for m in members),
        jobs=jobs,
    )


def _path(where: Path, member: Member) -> Path:
    return where / f"{member.name}.conf"


def _datafile(member: Member) -> Path:
    datafile = member.config.accounting.datafile
    assert datafile is not None, "a study's configurations have datafiles"
    return datafile


def _data_directories(members: Sequence[Member]) -> list[Path]:
    return sorted({_datafile(m).parent for m in members})
