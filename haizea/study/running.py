"""Running a study: what is missing is made, what is there stays, then the tables are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haizea.study.description import Study
from haizea.study.directory import Failure, StudyDirectory
from haizea.study.execution import Done, Executor
from haizea.study.expansion import Run, values_of
from haizea.study.tables import write_tables

#: Told after each run: how many are over, of how many, how many failed, seconds that runs took.
Told = Callable[[int, int, int, float], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a study, and which of them are still to be made, each once."""

    runs: tuple[Run, ...]
    missing: tuple[Run, ...]
    seconds_per_run: float | None
    bytes_per_run: float | None

    @property
    def different(self) -> int:
        """The number of runs that differ from all others."""
        return len({run.digest for run in self.runs})


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of running a study: runs made now, and those that failed."""

    made: int
    failed: tuple[tuple[Run, Failure], ...]


def plan(directory: StudyDirectory, runs: Sequence[Run]) -> Plan:
    """Look at what is there. Seconds and bytes are means over finished runs, if there are any."""
    missing: dict[str, Run] = {}
    finished: list[str] = []
    for digest, run in {run.digest: run for run in runs}.items():
        if directory.is_finished(run):
            finished.append(digest)
        else:
            missing[digest] = run
    times = directory.times()
    known = [times[digest] for digest in finished if digest in times]
    sizes = [directory.size_bytes(digest) for digest in finished]
    return Plan(
        tuple(runs),
        tuple(missing.values()),
        sum(known) / len(known) if known else None,
        sum(sizes) / len(sizes) if sizes else None,
    )


def run_study(
    study: Study, directory: StudyDirectory, runs: Sequence[Run], executor: Executor, tell: Told
) -> Report:
    """Make the runs that are missing, and write the tables of all that are finished.

    Takes memory for the descriptions of the runs, not for their results. The directory must
    be this process's alone. Raises what the executor does where no worker can be had.
    """
    directory.write_description(described(study, runs))
    missing = plan(directory, runs).missing
    failed: list[tuple[Run, Failure]] = []
    over, seconds = 0, 0.0
    tell(over, len(missing), 0, seconds)
    try:
        for done in carry_out(executor, missing):
            over += 1
            seconds += done.seconds
            if done.failure is None:
                directory.note_time(done.run.digest, done.seconds)
            else:
                directory.save_failure(done.run.digest, done.failure)
                failed.append((done.run, done.failure))
            tell(over, len(missing), len(failed), seconds)
    finally:
        # Of what is finished by now, if it is interrupted.
        write_tables(directory, runs)
    failed.sort(key=lambda pair: pair[0].number)
    return Report(over - len(failed), tuple(failed))


def carry_out(executor: Executor, runs: Sequence[Run]) -> Iterator[Done]:
    """The runs, made; no worker is begun for none."""
    return executor.carry_out(runs) if runs else iter(())


def described(study: Study, runs: Sequence[Run]) -> Mapping[str, Any]:
    """The study, for those who only have its directory."""
    return {
        "name": study.name,
        "runs": len(runs),
        "factors": values_of(runs),
        "baseline": {name: entry.text for name, entry in study.baseline.items()},
        "report": {
            "figures": study.report.figures,
            "by": study.report.by,
            "lines": study.report.lines,
        },
    }
