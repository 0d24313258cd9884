"""OpenNebula behind the scheduler of a service: its hosts, and the VMs that wait there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

from haizea.api.identities import CheckPassword
from haizea.backends.opennebula.backend import OpenNebulaBackend, Options
from haizea.backends.opennebula.enactment.outcomes import Limits
from haizea.backends.opennebula.expressions.errors import ExpressionError
from haizea.backends.opennebula.expressions.language import parse_rank
from haizea.backends.opennebula.model.errors import OpenNebulaError
from haizea.backends.opennebula.owners.reports import LeaseReports, Reports
from haizea.backends.opennebula.owners.scheduled_runner import ScheduledActions
from haizea.backends.opennebula.owners.words import refused_in_words
from haizea.backends.opennebula.requests.drafts import DraftRules
from haizea.backends.opennebula.requests.edits import GRANTED, REFUSED
from haizea.backends.opennebula.site.placer import SOCKET_NAME, PlacerError, WakeUps
from haizea.backends.opennebula.site.watching import Intervals
from haizea.backends.opennebula.state.leads import LeadRules
from haizea.backends.opennebula.state.memory import Memory
from haizea.backends.opennebula.state.rates import RateRules
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.connection import ConnectionSettings, RetrySettings
from haizea.backends.opennebula.wire.session import read_session
from haizea.clock import RealClock
from haizea.config import Config
from haizea.config.opennebula import DefaultLease, PreemptWith, ReadyBy
from haizea.core.model.hosts import HostSet, Site
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.policy import Policies
from haizea.core.model.reasons import Code
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import ResourceTypes
from haizea.loop import Observer
from haizea.runtime import RunError
from haizea.service.inbox import HandIn
from haizea.service.opennebula_section import address, default_ranks, waits_in
from haizea.service.passwords import Passwords
from haizea.service.recovery import LastingBackend
from haizea.service_types import Alteration, Altered, LearnedTime
from haizea.store import CodecError, LeaseQuery, Store, StoreError

_log = logging.getLogger(__name__)

#: For questions that somebody waits for: answered soon, if only that nobody answers.
_HURRIED = ConnectionSettings(connect_seconds=3.0, silence_seconds=5.0, answer_seconds=5.0)
#: So many leases that are over are told about again after a restart.
_MOST_TOLD_AGAIN = 200


def open_opennebula(
    config: Config, store: Store, clock: RealClock, speed: float, hand_in: HandIn
) -> OpenNebulaSide:
    """The OpenNebula that the configuration names. ``speed`` is that of the clock.

    Raises :class:`haizea.runtime.RunError`.
    """
    try:
        return OpenNebulaSide(config, store, clock, speed, hand_in)
    except (OpenNebulaError, ExpressionError) as error:
        raise RunError(f"{config.path}: [opennebula] {error}") from error


class OpenNebulaSide:
    """An OpenNebula, with its hosts and the VMs that wait there."""

    def __init__(
        self, config: Config, store: Store, clock: RealClock, speed: float, hand_in: HandIn
    ) -> None:
        section = config.opennebula
        self._store = store
        self._hand_in = hand_in
        self.name = "OpenNebula, dry run" if section.dry_run else "OpenNebula"
        self.remains = ""  # Its own VMs are known by their owners, whatever the store.
        self.next_lease_id = 1
        self._stops = section.stop_when_no_more_leases
        self._had_leases = False
        client = _client(config)
        self._reports = Reports(client, dry_run=section.dry_run)
        self._told: LeaseReports | None = None
        self._actions = ScheduledActions(
            client,
            interval_seconds=config.scheduling.wakeup_interval_seconds / speed,
            now=clock.now,
            dry_run=section.dry_run,
        )
        self._wakeups: WakeUps | None = None
        self._doorkeeper = _client(config, RetrySettings(attempts=1), _HURRIED)
        self.check_password: CheckPassword | None = Passwords(self._doorkeeper.user)
        options = backend_options(config, speed)
        parse_rank(section.host_rank, "host-rank")
        parse_rank(section.datastore_rank, "datastore-rank")
        # What cannot be sent now may be wrong in a while: it is decided on anew.
        commands = _client(config, RetrySettings(attempts=1))
        self._opennebula = OpenNebulaBackend(
            client,
            commands,
            options,
            _memory(store),
            clock.interrupt,
            self._reports.report,
            self._tell_again,
            hand_in,
            self._change,
        )
        self.backend: LastingBackend = self._opennebula

    def site(self) -> Site:
        """The hosts that were seen so far."""
        return Site(ResourceTypes(), self._opennebula.hosts())

    def policies(self, chosen: Policies) -> Policies:
        """The chosen ones, but hosts are preferred by rank."""
        return replace(chosen, host_selection=self._opennebula.placing.ranks)

    def _change(self, change: Alteration) -> None:
        """Have a lease be what its VMs were edited to ask for."""
        change.answer.add_done_callback(partial(self._changed, change))
        self._hand_in(change)

    def _changed(self, change: Alteration, found: Future[Altered]) -> None:
        edits = self._opennebula.edits
        if found.exception() is not None:
            edits.answered(change, None)
            return
        altered = found.result()
        reason = altered.reason
        if reason is None:
            edits.answered(change, GRANTED, granted=True)
        elif reason.code is Code.CHANGED_MEANWHILE or altered.record is None:
            edits.answered(change, None)
        else:
            why = refused_in_words(altered.record, reason, altered.offer)
            edits.answered(change, f"{REFUSED}{why}", later=reason.code is Code.IS_BUSY)

    def observers(self, known: Sequence[LeaseRecord]) -> list[Observer]:
        """Return the observer that tells the owners of VMs."""

        def host_name(index: int) -> str:
            return self._opennebula.hosts()[index].name

        actual = self._opennebula.actuals.of
        observer = LeaseReports(self._reports, host_name, actual=actual)
        held = {name for record in known for name in record.request.names}
        over = [r for r in self._lately_over() if held.isdisjoint(r.request.names)]
        observer.begin(over)
        observer.know(known)
        self._told = observer
        self._opennebula.answered_before(name for record in over for name in record.request.names)
        return [observer]

    def _tell_again(self, leases: Iterable[int]) -> None:
        """Have the owners of leases told how their VMs are now, once anybody is told anything."""
        if self._told is not None:
            self._told.again(leases)

    def _lately_over(self) -> list[LeaseRecord]:
        """Leases that came to no good end, the latest last: their owners may not know it yet."""
        query = LeaseQuery(
            states=FINAL - {State.DONE}, finished=True, newest_first=True, limit=_MOST_TOLD_AGAIN
        )
        return self._store.leases(query)[::-1]

    def start(self, directory: Path) -> None:
        """Run scheduled actions, and open the door at which OpenNebula's placer knocks."""
        self._actions.start()
        try:
            self._wakeups = WakeUps(directory / SOCKET_NAME, self._opennebula.look)
        except PlacerError as error:
            _log.info("no placer can wake Haizea, which only OpenNebula 7 has: %s", error)

    def problem(self) -> str:
        """Return what keeps OpenNebula from answering; empty if nothing."""
        return self._opennebula.problem

    def learned(self) -> Sequence[LearnedTime]:
        """Return how long deployments and ends took so far."""
        return [
            LearnedTime(
                operation=sort,
                of=figures.kind,
                times=figures.times,
                size_mb=figures.size_mb,
                usual_seconds=round(figures.median_seconds),
                planned_seconds=ceil(figures.planned_seconds),
            )
            for sort, figures in self._opennebula.leads.shown
        ]

    def hosts_meeting(self, condition: str) -> HostSet:
        """The hosts that a VM with these requirements might have, by their attributes."""
        try:
            return self._opennebula.placing.meeting(condition)
        except ExpressionError as error:
            raise ValueError(str(error)) from error

    def is_over(self, leases: int) -> bool:
        """After the last lease, where the configuration says so."""
        self._had_leases |= leases > 0
        return self._stops and self._had_leases and leases == 0 and self._opennebula.idle

    def close(self) -> None:
        """Write the last reports, then close connections; VMs go on."""
        if self._wakeups is not None:
            self._wakeups.close()
        self._actions.close()
        self._reports.close()
        self._doorkeeper.close()
        self._opennebula.close()


def backend_options(config: Config, speed: float = 1.0) -> Options:
    """Read the backend's options off the configuration, the clock being so fast."""
    section, scheduling = config.opennebula, config.scheduling
    default = Kind.IMMEDIATE if section.default_lease is DefaultLease.NOW else Kind.BEST_EFFORT
    return Options(
        rules=DraftRules(
            default=default,
            settling_seconds=section.group_settling_seconds,
        ),
        waits_in=waits_in(section),
        only_explicit=section.default_lease is DefaultLease.NONE,
        limits=Limits(
            per_host=section.commands_per_host,
            apart_seconds=scheduling.enactment_overhead_seconds,
            timeout_seconds=section.command_timeout_seconds,
            grace_seconds=section.shutdown_grace_seconds,
            retries=section.command_retries,
        ),
        rates=_rate_rules(config),
        leads=LeadRules(
            ahead=section.ready_by is ReadyBy.START,
            certainty=section.ready_certainty / 100,
            image_mb_s=section.image_rate_mb_s,
            boot_seconds=section.boot_seconds,
            shutdown_seconds=scheduling.shutdown_seconds,
        ),
        ranks=default_ranks(section),
        intervals=Intervals(full_seconds=scheduling.wakeup_interval_seconds / speed),
        events=address(section).events,
        suspends=section.preempt_with is PreemptWith.SUSPEND,
        commands=section.commands,
        host_grace_seconds=section.host_grace_seconds,
        dry_run=section.dry_run,
    )


def _rate_rules(config: Config) -> RateRules:
    """Return what is learned of rates: nothing where a time is given instead."""
    chosen = config.scheduling
    saves = chosen.override_suspend_seconds is None
    restores = chosen.override_resume_seconds is None
    return RateRules(
        suspend_mb_s=chosen.suspend_rate_mb_s if saves else None,
        resume_mb_s=chosen.resume_rate_mb_s if restores else None,
        overhead_seconds=chosen.enactment_overhead_seconds,
    )


def _client(
    config: Config,
    retry: RetrySettings | None = None,
    limits: ConnectionSettings | None = None,
) -> Client:
    section = config.opennebula
    certificates = None if section.certificates is None else str(section.certificates)
    return Client(
        address(section).url,
        read_session(),
        connection=replace(limits or ConnectionSettings(), certificates=certificates),
        retry=retry,
    )


def _memory(store: Store) -> Memory:
    def write(name: str, text: str) -> bool:
        try:
            store.set_setting(name, text)
        except StoreError:
            return False
        return True

    def request(lease: int) -> LeaseRequest | None:
        try:
            record = store.lease(lease)
        except CodecError:
            return None
        return None if record is None else record.request

    return Memory(read=store.setting, write=write, request=request)
