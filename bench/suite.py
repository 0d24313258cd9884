"""Runs cases and makes figures of them; refuses figures of runs that are not right."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.case import Axis, Case
from bench.measure import ChildFailed, Usage, run, run_haizea, run_records, run_yardstick
from bench.verify import fault_by_rules, fault_by_starts, reference_starts, yardstick_starts
from bench.workloads import Prepared, SharedDataAbsent, without_probes
from bench.yardsticks import IN_SUMS

#: A run that takes longer is given up, and said to be so.
LIMIT_SECONDS = 600
#: A case that has taken so long is not repeated any more; three runs of a slow one are less.
ENOUGH_SECONDS = 1800
#: Schedules are tested this many at a time, when all is measured.
CHECKERS = 2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """Cost of the yardstick: the simulation alone, and its whole process (CPU seconds)."""

    name: str
    simulation_seconds: float
    process_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one case; medians of the runs. ``refused`` says why there are none.

    ``states`` is how often all leases came into a state.
    ``cpu_seconds`` is user and system time of the whole ``haizea`` process, with results
    saved. ``recording_share`` is the part of it that goes where no results are saved;
    ``plain_recording_share`` is that part where no probes are on. ``records_cpu_seconds`` is what
    the yardstick for full records takes. Figures called
    ``compiled_…`` are those of a compiled build, ``None`` where there is none. ``check_…`` are
    those of ``check-schedule`` on the results.
    """

    name: str
    title: str
    leases: int = 0
    states: int = 0
    hosts: int = 0
    runs_cpu_seconds: tuple[float, ...] = ()
    compiled_runs_cpu_seconds: tuple[float, ...] = ()
    wall_seconds: float = 0.0
    peak_mb: float = 0.0
    recording_share: float | None = None
    plain_recording_share: float | None = None
    records_cpu_seconds: float | None = None
    yardstick: Yardstick | None = None
    check_cpu_seconds: float | None = None
    check_peak_mb: float | None = None
    checked: tuple[str, ...] = ()
    refused: str = ""

    @property
    def cpu_seconds(self) -> float:
        """The median of the runs."""
        return median(self.runs_cpu_seconds)

    def seconds_beyond(self, start_up_seconds: float) -> float:
        """Return the median without the time to start up, at least a millisecond."""
        return max(self.cpu_seconds - start_up_seconds, 0.001)

    @property
    def check_ratio(self) -> float | None:
        """Time of ``check-schedule``, as a multiple of the run's."""
        seconds = self.check_cpu_seconds
        return None if seconds is None else seconds / self.cpu_seconds

    @property
    def leases_per_second(self) -> float:
        """Leases per CPU second of the whole process."""
        return self.leases / self.cpu_seconds

    @property
    def yardstick_ratio(self) -> float | None:
        """Time of the whole process, as a multiple of the yardstick's simulation alone."""
        return self.cpu_seconds / self.yardstick.simulation_seconds if self.yardstick else None

    @property
    def records_ratio(self) -> float | None:
        """Time of the whole process, as a multiple of that of the yardstick for full records."""
        seconds = self.records_cpu_seconds
        return None if seconds is None else self.cpu_seconds / seconds

    @property
    def compiled_cpu_seconds(self) -> float | None:
        """The median of the runs of a compiled build."""
        runs = self.compiled_runs_cpu_seconds
        return median(runs) if runs else None

    @property
    def compiled_leases_per_second(self) -> float | None:
        """Leases per CPU second of a compiled build."""
        seconds = self.compiled_cpu_seconds
        return None if seconds is None else self.leases / seconds

    @property
    def compiled_yardstick_ratio(self) -> float | None:
        """The ratio to the yardstick's simulation alone of a compiled build."""
        seconds = self.compiled_cpu_seconds
        if seconds is None or self.yardstick is None:
            return None
        return seconds / self.yardstick.simulation_seconds

    @property
    def process_ratio(self) -> float | None:
        """The same with the yardstick's whole process, which reads the trace as well."""
        return self.cpu_seconds / self.yardstick.process_seconds if self.yardstick else None


class Bench:
    """Measures cases in a folder of its own, and keeps what is needed to check them.

    ``compiled`` is the folder of a compiled copy of Haizea, which is measured, too; its
    results must be the same.
    """

    def __init__(self, folder: Path, repeats: int, say: Say, compiled: Path | None = None) -> None:
        self._compiled = compiled
        self._folder = folder
        self._repeats = repeats
        self._say = say
        self._prepared: dict[str, Prepared] = {}

    def prepare(self, case: Case) -> Prepared:
        """The files of a case. Raises :class:`SharedDataAbsent`."""
        if case.name not in self._prepared:
            folder = self._folder / case.name
            folder.mkdir(parents=True, exist_ok=True)
            # In a process of its own: a child's peak of memory is not less than what this
            # process has when the child is made, so this one has to stay small.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                self._prepared[case.name] = apart.submit(case.make, folder).result()
        return self._prepared[case.name]

    def measure(self, case: Case) -> Figures:
        """The figures of a case, not checked yet."""
        try:
            prepared = self.prepare(case)
            figures = self._runs(case, prepared)
        except (SharedDataAbsent, ChildFailed) as error:
            figures = Figures(name=case.name, title=case.title, refused=str(error))
        self._say(line_of(figures))
        return figures

    def check(self, cases: Iterable[Case], measured: Sequence[Figures]) -> list[Figures]:
        """The same figures, or a refusal where a schedule is not right."""
        by_name = {case.name: case for case in cases}
        with ThreadPoolExecutor(CHECKERS) as pool:
            return list(pool.map(lambda f: self._checked(by_name[f.name], f), measured))

    def _runs(self, case: Case, prepared: Prepared) -> Figures:
        datafile = self._datafile(case)
        usages: list[Usage] = []
        compiled: list[float] = []
        records: list[Usage] = []
        recording = _Recording(prepared.config) if case.recording else None
        counted = _Counted(case.yardstick, prepared, self._starts(case)) if case.yardstick else None
        contents = set()
        begun = time.monotonic()
        for _ in range(self._repeats):
            usages.append(run_haizea(prepared.config, datafile, LIMIT_SECONDS))
            contents.add(_digest(datafile))
            if self._compiled is not None:
                fast = run_haizea(prepared.config, datafile, LIMIT_SECONDS, self._compiled)
                compiled.append(fast.cpu_seconds)
                contents.add(_digest(datafile))
            if recording is not None:
                recording.run(datafile.with_name("plain.db"))
            if counted is not None:
                counted.run()
            if case.recording and case.yardstick == "easy" and prepared.trace is not None:
                written = datafile.with_name("records.db")
                records.append(run_records(prepared.trace, prepared.hosts, written, LIMIT_SECONDS))
            if time.monotonic() - begun > ENOUGH_SECONDS:
                break
        cpu_seconds = median(usage.cpu_seconds for usage in usages)
        return Figures(
            name=case.name,
            title=case.title,
            leases=prepared.leases,
            states=_states(datafile),
            hosts=prepared.hosts,
            runs_cpu_seconds=tuple(usage.cpu_seconds for usage in usages),
            compiled_runs_cpu_seconds=tuple(compiled),
            wall_seconds=median(usage.wall_seconds for usage in usages),
            peak_mb=max(usage.peak_mb for usage in usages),
            recording_share=None if recording is None else recording.share(cpu_seconds),
            plain_recording_share=None if recording is None else recording.plain_share(),
            records_cpu_seconds=median(r.cpu_seconds for r in records) if records else None,
            yardstick=None if counted is None else counted.figures(),
            refused="" if len(contents) == 1 else "the results of two equal runs differ",
        )

    def _checked(self, case: Case, figures: Figures) -> Figures:
        if figures.refused:
            return figures
        datafile, prepared = self._datafile(case), self._prepared[case.name]
        checked = ["check-schedule"]
        fault, check = fault_by_rules(datafile)
        if prepared.reference is not None and not fault:
            checked.append("reference start times")
            expected = reference_starts(prepared.reference)
            fault = fault_by_starts(datafile, expected, "the shared reference")
        if figures.yardstick is not None and prepared.trace is not None and not fault:
            checked.append("yardstick's start times")
            expected = yardstick_starts(self._starts(case), prepared.trace)
            fault = fault_by_starts(datafile, expected, f"the {figures.yardstick.name} yardstick")
        if fault:
            self._say(f"{case.name}: no figure, {fault}")
        return replace(
            figures,
            check_cpu_seconds=None if check is None else check.cpu_seconds,
            check_peak_mb=None if check is None else check.peak_mb,
            checked=tuple(checked),
            refused=fault,
        )

    def _datafile(self, case: Case) -> Path:
        return self._folder / case.name / "results.db"

    def _starts(self, case: Case) -> Path:
        return self._folder / case.name / "yardstick.starts"


class _Recording:
    """Runs without results, and with results but no probes: what recording costs."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._plain_config = without_probes(config)
        self._without: list[float] = []
        self._plain: list[float] = []

    def run(self, datafile: Path) -> None:
        without = run_haizea(self._config, None, LIMIT_SECONDS)
        self._without.append(without.cpu_seconds)
        self._plain.append(run_haizea(self._plain_config, datafile, LIMIT_SECONDS).cpu_seconds)

    def share(self, cpu_seconds: float) -> float:
        return 1 - median(self._without) / cpu_seconds

    def plain_share(self) -> float:
        return self.share(median(self._plain))


class _Counted:
    """Runs of a yardstick."""

    def __init__(self, name: str, prepared: Prepared, starts: Path) -> None:
        trace = prepared.sums if name == IN_SUMS else prepared.trace
        assert trace is not None, "a yardstick has something to read"
        self._name, self._trace, self._hosts = name, trace, prepared.hosts
        self._starts = starts
        self._alone: list[float] = []
        self._processes: list[float] = []

    def run(self) -> None:
        usage, seconds = run_yardstick(
            self._name, self._trace, self._hosts, self._starts, LIMIT_SECONDS
        )
        self._alone.append(seconds)
        self._processes.append(usage.cpu_seconds)

    def figures(self) -> Yardstick:
        return Yardstick(
            name=self._name,
            simulation_seconds=median(self._alone),
            process_seconds=median(self._processes),
        )


def decision_times() -> dict[str, float]:
    """Milliseconds to decide on an AR of 100 nodes: ``median_ms`` and ``worst_ms``."""
    found = json.loads(run([sys.executable, "-m", "bench.decision"], LIMIT_SECONDS)[1])
    return {name: float(found[name]) for name in ("median_ms", "worst_ms")}


def _states(datafile: Path) -> int:
    """Count the states that leases came into, by a results file."""
    with closing(sqlite3.connect(datafile)) as results:
        return int(results.execute("SELECT count(*) FROM states").fetchone()[0])


def exponent(axis: Axis, figures: dict[str, Figures], start_up_seconds: float) -> float | None:
    """Return how CPU time grows along an axis: the slope of a line through the logarithms.

    The time to start up is taken off first: it would make growth look slower. ``None``
    where fewer than two cases have figures.
    """
    return slope([(n, x.seconds_beyond(start_up_seconds)) for n, x in _along(axis, figures)])


def exponent_over_states(
    axis: Axis, figures: dict[str, Figures], start_up_seconds: float
) -> float | None:
    """Return how CPU time grows with all that happens to leases along an axis.

    ``None`` where fewer than two cases have figures, or all have as many states: with queues of
    other depths, the same happens.
    """
    found = [x for _, x in _along(axis, figures) if x.states]
    if len(found) < 2 or max(x.states for x in found) < 2 * min(x.states for x in found):
        return None
    return slope([(x.states, x.seconds_beyond(start_up_seconds)) for x in found])


def _along(axis: Axis, figures: dict[str, Figures]) -> list[tuple[int, Figures]]:
    """Return amounts and figures of the cases that have some."""
    return [
        (amount, found)
        for case, amount in axis.cases
        if (found := figures.get(case.name)) is not None and not found.refused
    ]


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Slope of a line through the logarithms of amounts and seconds; ``None`` below two points."""
    if len(points) < 2:
        return None
    logs = [(math.log(amount), math.log(seconds)) for amount, seconds in points]
    mean_x = math.fsum(x for x, _ in logs) / len(logs)
    mean_y = math.fsum(y for _, y in logs) / len(logs)
    spread = math.fsum((x - mean_x) ** 2 for x, _ in logs)
    return math.fsum((x - mean_x) * (y - mean_y) for x, y in logs) / spread


def line_of(figures: Figures) -> str:
    """The figures in one line for people."""
    if figures.refused:
        return f"{figures.name:22} {figures.refused}"
    words = [
        f"{figures.name:22} {figures.leases_per_second:8,.0f} leases/s",
        f"{figures.cpu_seconds:7.2f} s",
        f"{figures.peak_mb:5.0f} MB",
    ]
    if figures.compiled_leases_per_second is not None:
        words.append(f"compiled {figures.compiled_leases_per_second:,.0f} leases/s")
    if figures.yardstick is not None:
        words.append(
            f"{figures.yardstick_ratio:5.1f} × {figures.yardstick.name}"
            f" ({figures.process_ratio:.1f} × its process)"
        )
    if figures.records_ratio is not None:
        words.append(f"{figures.records_ratio:.1f} × full records")
    if figures.recording_share is not None:
        words.append(f"recording {figures.recording_share:.0%}")
        words.append(f"({figures.plain_recording_share:.0%} without probes)")
    return "  ".join(words)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
