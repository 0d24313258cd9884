"""Puts the parts of a run together, as a configuration says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

from haizea import __version__, plugins
from haizea.accounting.errors import ResultsError
from haizea.accounting.probes import Probe, make_probes
from haizea.accounting.results import ResultsFile
from haizea.backends.simulated import Faults, SimulatedBackend
from haizea.clock import SimulatedClock
from haizea.config import Config, make_site, scheduling_settings
from haizea.config.words import ClockKind, FailureHandling, Mode, StopWhen
from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Maintenance
from haizea.core.model.policy import Policies
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Mapper
from haizea.core.scheduler import Scheduler
from haizea.loop import (
    EndlessInstant,
    Observer,
    SchedulerError,
    Tally,
    TraceArrivals,
    run_loop,
)
from haizea.plugins import PluginError
from haizea.policies.registry import make_policies
from haizea.times import format_time
from haizea.times.durations import format_span
from haizea.wording import in_words
from haizea.workloads import (
    BoundWorkload,
    ReadOptions,
    Workload,
    WorkloadError,
    bind,
    merge,
    read,
    read_images,
    site_of,
    with_images,
    with_memory,
    with_overheads,
)
from haizea.workloads.windows import bind_windows

#: Before the first lease is asked for: a run that is idle for longer is told of.
_LONG_IDLE = 86400


class RunError(Exception):
    """A run cannot begin; the message says why and what to do about it."""


class LeaseFailure(Exception):
    """A lease failed, and the configuration says ``lease-failure-handling: exit-raise``."""


class Status(StrEnum):
    """The way in which a run ended; the value is the word in its results file."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run.

    ``started`` and ``ended`` are times of the run's clock. ``states`` counts the leases
    that were submitted, of ``total`` in all. ``message`` says why the run was not
    completed. ``datafile`` has the results, if any were asked for.
    """

    status: Status
    started: int
    ended: int
    states: dict[State, int]
    total: int
    message: str
    datafile: Path | None

    @property
    def exit_status(self) -> int:
        """The command's exit status: 0, 1 if the run failed, 130 if it was interrupted."""
        return {Status.COMPLETE: 0, Status.INTERRUPTED: 130, Status.FAILED: 1}[self.status]


class Simulation:
    """A simulation that is ready to run, once.

    Making it reads all that the configuration names; :meth:`run` runs it. ``faults`` are
    things to go wrong. ``workload`` takes the place of the trace, where it is given.
    ``notes`` has what the user should know of the workload, such as entries that were left out.

    Raises :class:`RunError` where it cannot run.
    """

    def __init__(
        self, config: Config, *, faults: Faults | None = None, workload: Workload | None = None
    ) -> None:
        _check_kind(config)
        self._config = config
        self._policies = policies_of(config)
        self._mapper = mapper_of(config, self._policies)
        self._probes = _probes(config)
        # Kept, though nobody asks for it again: what lies among the requests in memory would
        # leave holes, and whatever a long run makes would be scattered over them.
        self._workload = workload = _workload(config, workload)
        self.site, bound = _bound(config, workload)
        self.notes = workload.told()
        if not bound.requests:
            self.notes.append(f"{config.tracefile.tracefile} has no lease requests")
        elif (idle := bound.requests[0].submitted - config.simulation.starttime) >= _LONG_IDLE:
            self.notes.append(
                f"{workload.source}: the first lease is asked for {format_span(idle)} after the"
                " start, and figures of the whole run count that time, too"
            )
        self.total = len(bound.requests)
        self._best_effort = sum(r.kind is Kind.BEST_EFFORT for r in bound.requests)
        _check_stop(config, self._best_effort)
        self._workload_name = workload.name
        self.clock = SimulatedClock(config.simulation.starttime)
        self.tally = Tally()
        self._reached = self._goal()
        self._backend = SimulatedBackend(bound.real_durations, faults)
        self._faults = faults.describe() if faults is not None else ""
        windows = _windows(config, workload, self.site)
        self._arrivals = TraceArrivals(bound.requests, windows, bound.changes)
        # Only changes ask for what leases are by then.
        self._watching: list[Observer] = [self._arrivals] if bound.changes else []
        self._interrupted = False

    def interrupt(self) -> None:
        """End the run before its next instant. May be called from a signal handler."""
        self._interrupted = True

    def run(self, observers: Sequence[Observer] = ()) -> RunOutcome:
        """Run to the end that the configuration sets, or until it is interrupted.

        ``observers`` are told every decision; :attr:`tally` is up to date by then. The
        results file is complete, under its name, when this returns; it is marked as
        failed if this raises.

        Raises :class:`RunError` before anything is simulated if the results cannot be
        written, and :class:`haizea.accounting.errors.ResultsError` if that is found out
        later; no results file is left then. With ``lease-failure-handling: exit-raise`` it
        raises :class:`LeaseFailure` or :class:`haizea.loop.SchedulerError`.
        """
        results = self._results()
        started = self.clock.now()
        settings = scheduling_settings(self._config)
        scheduler = Scheduler(
            self.site, settings, self._policies, started, self._mapper, whole_turns=False
        )
        everyone: list[Observer] = [self.tally, *self._watching, *observers]
        if results is not None:
            everyone.insert(0, results)
        failed: Exception | None = None
        try:
            run_loop(scheduler, self.clock, self._backend, self._arrivals, everyone, self._is_over)
        except (SchedulerError, EndlessInstant) as error:
            failed = error
        except BaseException as error:
            if isinstance(error, ResultsError) and results is not None:
                results.discard()
            elif results is not None:
                results.finish(Status.FAILED.value, self.clock.now())
            raise
        status, message = self._how_it_ended(failed)
        if results is not None:
            results.finish(status.value, self.clock.now())
        if status is Status.FAILED and self._handling is FailureHandling.EXIT_RAISE:
            raise failed or LeaseFailure(message)
        return RunOutcome(
            status=status,
            started=started,
            ended=self.clock.now(),
            states=self.tally.states,
            total=self.total,
            message=message,
            datafile=self._config.accounting.datafile,
        )

    @property
    def _handling(self) -> FailureHandling:
        return self._config.general.lease_failure_handling

    def _is_over(self, due: int) -> bool:
        """Tell whether the run ends here, ``due`` being the next moment of it."""
        tally = self.tally
        if self._interrupted or due >= FOREVER:
            return True
        if tally.failure is not None and self._handling is not FailureHandling.CANCEL:
            return True
        return self._reached()

    def _goal(self) -> Callable[[], bool]:
        """Return a function that tells whether the goal of ``stop-when`` is reached."""
        tally, best_effort, total = self.tally, self._best_effort, self.total
        match self._config.simulation.stop_when:
            case StopWhen.ALL_LEASES_DONE:
                return lambda: tally.finished == total
            case StopWhen.BESTEFFORT_SUBMITTED:
                return lambda: tally.best_effort_submitted == best_effort
            case StopWhen.BESTEFFORT_DONE:
                return lambda: tally.best_effort_finished == best_effort

    def _how_it_ended(self, failed: Exception | None) -> tuple[Status, str]:
        if isinstance(failed, SchedulerError):
            return Status.FAILED, _bug(failed)
        if failed is not None:
            return Status.FAILED, f"{failed}. This is a bug in Haizea; please report it"
        if self.tally.failure is not None and self._handling is not FailureHandling.CANCEL:
            lease_id, reason = self.tally.failure
            return (
                Status.FAILED,
                f"lease {lease_id} failed at {format_time(self.clock.now())}:"
                f" {in_words(reason)} (lease-failure-handling: {self._handling})",
            )
        if self._interrupted:
            return Status.INTERRUPTED, f"interrupted at {format_time(self.clock.now())}"
        return Status.COMPLETE, ""

    def _results(self) -> ResultsFile | None:
        accounting = self._config.accounting
        if accounting.datafile is None:
            return None
        try:
            return ResultsFile(
                accounting.datafile,
                self.site,
                self._config.rows(),
                dict(accounting.attributes),
                self._workload_name,
                __version__,
                probes=self._probes,
                start=self.clock.now(),
                faults=self._faults,
            )
        except ResultsError as error:
            raise RunError(str(error)) from None


def simulate(
    config: Config, *, observers: Sequence[Observer] = (), faults: Faults | None = None
) -> RunOutcome:
    """Run the simulation that ``config`` describes; see :class:`Simulation` for errors."""
    return Simulation(config, faults=faults).run(observers)


def _check_kind(config: Config) -> None:
    if config.general.mode is not Mode.SIMULATED:
        raise RunError(
            f"{config.path}: [general] mode: {config.general.mode} is not a simulation;"
            f" set mode: {Mode.SIMULATED}"
        )
    if config.simulation.clock is not ClockKind.SIMULATED:
        raise RunError(
            f"{config.path}: [simulation] clock: {config.simulation.clock} does not run a"
            f" trace; set clock: {ClockKind.SIMULATED}"
        )


def _check_stop(config: Config, best_effort: int) -> None:
    stop_when = config.simulation.stop_when
    if stop_when is not StopWhen.ALL_LEASES_DONE and not best_effort:
        raise RunError(
            f"{config.path}: [simulation] stop-when: {stop_when} would end the run before it"
            f" begins: {config.tracefile.tracefile} has no best-effort leases;"
            f" set stop-when: {StopWhen.ALL_LEASES_DONE}"
        )


def policies_of(config: Config) -> Policies:
    """The policies that the configuration names. Raises :class:`RunError`."""
    scheduling = config.scheduling
    try:
        return make_policies(
            admission=scheduling.policy_admission,
            preemption=scheduling.policy_preemption,
            queue_order=scheduling.policy_queue_order,
            host_selection=scheduling.policy_host_selection,
        )
    except PluginError as error:
        raise RunError(f"{config.path}: [scheduling] {error}") from None


def mapper_of(config: Config, policies: Policies) -> Mapper:
    """The mapper that the configuration names, made with the policy whose order it follows.

    Raises :class:`RunError`.
    """
    name = config.scheduling.mapper
    try:
        found = plugins.find_class(plugins.MAPPER, name)
    except PluginError as error:
        raise RunError(f"{config.path}: [scheduling] mapper: {error}") from None
    try:
        return cast(Mapper, found(policies.host_selection))
    except Exception as error:  # a class of the user's may raise anything
        raise RunError(
            f"{config.path}: [scheduling] mapper: {name!r} cannot be made:"
            f" {found.__name__}(host_selection) raised {type(error).__name__}: {error}"
        ) from error


def _probes(config: Config) -> list[Probe]:
    try:
        return make_probes(config.accounting.probes)
    except PluginError as error:
        raise RunError(f"{config.path}: [accounting] probes: {error}") from None


def _workload(config: Config, given: Workload | None) -> Workload:
    """The requests of the trace, or in its place, and what ``[tracefile]`` adds to them."""
    trace = config.tracefile
    assert trace.tracefile is not None, "a configuration of a simulation names its trace"
    origin = config.simulation.starttime
    swf = ReadOptions(trace.processors_per_node, dict(trace.node_capacity))
    try:
        workload = read(trace.tracefile, swf, origin) if given is None else given
        if trace.imagefile is not None:
            workload = with_images(workload, read_images(trace.imagefile))
        if trace.injectionfile is not None:
            workload = merge(workload, read(trace.injectionfile, swf, origin))
    except WorkloadError as error:
        raise RunError(str(error)) from None
    if trace.override_memory_mb is not None:
        workload = with_memory(workload, trace.override_memory_mb)
    return with_overheads(
        workload,
        trace.add_overhead.value,
        trace.runtime_slowdown_percent,
        trace.bootshutdown_seconds,
    )


def _bound(config: Config, workload: Workload) -> tuple[Site, BoundWorkload]:
    groups = config.simulation.resources
    if groups:
        site = make_site(groups)
    elif workload.site is not None:
        site = site_of(workload.site)
    else:
        problem = workload.site_problem
        raise RunError(
            f"{config.path}: [simulation] resources: in-tracefile, but"
            f" {config.tracefile.tracefile}"
            + (f": {problem}, or" if problem else " does not say what hosts there are;")
            + " set resources, for example 4 CPU:100 Memory:1024"
        )
    try:
        return site, bind(workload, site.types, config.simulation.starttime)
    except WorkloadError as error:
        raise RunError(str(error)) from None


def _windows(config: Config, workload: Workload, site: Site) -> list[tuple[int, Maintenance]]:
    """The workload's maintenance, each with the moment at which it is asked for."""
    try:
        return bind_windows(workload, site, config.simulation.starttime)
    except WorkloadError as error:
        raise RunError(str(error)) from None


def _bug(error: SchedulerError) -> str:
    """Describe an error in the scheduler, naming the leases it had been told of."""
    named = (
        event.request.id if isinstance(event, LeaseSubmitted) else getattr(event, "lease_id", None)
        for event in error.inputs
    )
    leases = sorted({lease_id for lease_id in named if lease_id is not None})
    told = f", when it was told of lease {', '.join(map(str, leases[:10]))}" if leases else ""
    return (
        f"the scheduler failed at {format_time(error.now)}{told}: {error}."
        " This is a bug in Haizea; please report it with the configuration and the trace"
    )
