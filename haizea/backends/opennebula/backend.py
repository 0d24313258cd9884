"""The backend that drives OpenNebula: looks into inputs and requests, decisions into commands.

All of it happens in the loop's thread, but for looking (:mod:`.watching`) and for sending
commands (:mod:`.commander`), which have threads of their own and interrupt the clock.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from haizea.backends.opennebula.enactment.allowed_hosts import Allowing
from haizea.backends.opennebula.enactment.commander import Answer, Commander
from haizea.backends.opennebula.enactment.enactment import Enactment
from haizea.backends.opennebula.enactment.leases import Leases
from haizea.backends.opennebula.enactment.moves import Moves
from haizea.backends.opennebula.enactment.outcomes import Limits, Outcome, What
from haizea.backends.opennebula.matching.lease_hosts import Placing
from haizea.backends.opennebula.matching.ranks import DefaultRanks
from haizea.backends.opennebula.model.waiting import WaitingStates, waits_by_version
from haizea.backends.opennebula.owners.actual import Actuals
from haizea.backends.opennebula.requests.drafts import DraftRules
from haizea.backends.opennebula.requests.edits import Edits, TellAgain
from haizea.backends.opennebula.requests.intake import Requests, Tell
from haizea.backends.opennebula.requests.readiness import Readiness
from haizea.backends.opennebula.site.watching import Down, Follower, Intervals, News, Watcher
from haizea.backends.opennebula.state.endings import Endings
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.leads import LeadRules, LeadTimes
from haizea.backends.opennebula.state.learning import Learning
from haizea.backends.opennebula.state.ledger import Ledger
from haizea.backends.opennebula.state.memory import Memory
from haizea.backends.opennebula.state.rates import HostRatesLearned, RateRules
from haizea.backends.opennebula.state.seen import Look, SeenVms
from haizea.backends.opennebula.state.usage import Usage
from haizea.backends.opennebula.wire.client import Client
from haizea.core.model.events import Decision, Input
from haizea.core.model.hosts import Host
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.service_types import Alteration, Decided, Submission

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings for watching and commanding OpenNebula. ``first_look_seconds`` are real ones.

    ``events`` is the address of its events, ``None`` for none. VMs ``suspends`` keep their
    host. ``host_grace_seconds`` is how long a host may be in ERROR before it counts as dead.
    ``waits_in`` are the states in which VMs wait for us, ``None`` for what suits the version.
    """

    rules: DraftRules = field(default_factory=DraftRules)
    waits_in: frozenset[int] | None = None
    only_explicit: bool = False
    limits: Limits = field(default_factory=Limits)
    rates: RateRules = field(default_factory=RateRules)
    leads: LeadRules = field(default_factory=LeadRules)
    ranks: DefaultRanks = field(default_factory=DefaultRanks)
    intervals: Intervals = field(default_factory=Intervals)
    events: str | None = None
    suspends: bool = False
    commands: int = 8
    host_grace_seconds: int = 120
    first_look_seconds: float = 5.0
    dry_run: bool = False


class OpenNebulaBackend:
    """Carries decisions out in an OpenNebula; a backend whose VMs outlive the manager.

    OpenNebula is looked at through ``client``; ``commands`` is to try each call once. ``wake``
    interrupts the clock, ``tell`` tells owners of VMs, ``tell_again`` those of leases whose VMs
    were seen to be otherwise than before. Requests are handed to ``ask``, and changes
    that owners make to ``change``; they are answered in the loop's thread.
    """

    def __init__(
        self,
        client: Client,
        commands: Client,
        options: Options,
        memory: Memory,
        wake: Callable[[], None],
        tell: Tell,
        tell_again: TellAgain,
        ask: Callable[[Submission], None],
        change: Callable[[Alteration], None],
    ) -> None:
        self._options = options
        self._client = client
        self._commands = commands
        self._wake = wake
        self._news: deque[News] = deque()
        self._answers: deque[Answer] = deque()
        self._ask = ask
        self._tell_again = tell_again
        self._table = HostTable(*memory.kept("hosts"), options.host_grace_seconds)
        self._endings = Endings(*memory.kept("endings"))
        self._seen = SeenVms(*memory.kept("moves"))
        self._seen.waits = WaitingStates(*memory.kept("waits"))
        self._ledger = Ledger()
        known = self._ledger, self._seen
        self.placing = Placing(self._table, self._seen, options.ranks)
        self._moves = Moves(self._ledger, self._seen, self._table)
        self._usage = Usage(self._table, self._seen, self._ledger)
        self._rates = HostRatesLearned(options.rates, self._ledger, self._seen, self._table)
        self.leads = LeadTimes(options.leads, self._seen, *memory.kept("lead times"))
        self.edits = Edits(*known, options.rules, *memory.kept("edits"), change, tell_again)
        self.actuals = Actuals(*known, self.placing, self.leads, self.edits)
        self._learning = Learning(self._rates, self.leads)
        self._readiness = Readiness(self._ledger, self._seen, self._table, self.leads)
        self._leases = Leases(*known, self._table, self._endings, memory.request, self.edits)
        where, remnants = (*known, self.placing, self._readiness), self._leases.remnants
        self._requests = Requests(*where, options.rules, tell, remnants, options.only_explicit)
        self._allowing = Allowing(self._ledger, self._seen, self._table, self._leases, self.placing)
        self._commander = Commander(
            commands, options.commands, self._hear_answer, dry_run=options.dry_run
        )
        self._enactment = Enactment(
            *known,
            self._table,
            options.limits,
            self._commander.send,
            self.placing.datastore,
            options.suspends,
            self.leads.epilog_seconds,
        )
        self._server, self._keep_server = memory.kept("server")
        self._watcher = Watcher(client, options.events, options.intervals, self._hear, self._server)
        self._down = False
        self._looked = False
        self._follows = False
        self._began = False
        self._later: list[Input] = []
        self._everywhere = False
        self._now = 0

    # --- what the service asks -----------------------------------------------------------

    def hosts(self) -> tuple[Host, ...]:
        """The hosts that are known, by index."""
        return self._table.hosts()

    @property
    def idle(self) -> bool:
        """True if no VM waits to be asked for or has anything to come to."""
        return self._looked and self._requests.idle and not self._ledger.open

    @property
    def problem(self) -> str:
        """Why OpenNebula cannot be driven at present; empty if it can."""
        return "OpenNebula does not answer" if self._down else self._watcher.silence

    def look(self) -> None:
        """Have everything looked at soon. Any thread may call it."""
        self._watcher.look_everywhere()

    def close(self) -> None:
        """Look and command no more; VMs go on."""
        self._watcher.close()
        self._commander.close()
        self._commands.close()
        self._client.close()

    # --- the backend ---------------------------------------------------------------------

    def reconcile(self, now: int, records: Sequence[LeaseRecord], site: SiteRecord) -> list[Input]:
        """After a restart: take up what is under way; what has to be told at once.

        Where OpenNebula does not answer soon, nothing new is started until it does.
        """
        self._now = now
        self._table.restore(site.hosts)
        self._rates.restore(site.rates)
        for record in records:
            self._leases.take_up(now, record)
            self._leases.overdue.take_up(record)
            self._allowing.take_up(record)
            self._readiness.take_up(record)
        self._endings.restart(now)
        for errand in self._endings.errands():
            if errand.vm not in self._ledger.lease_of:
                self._ledger.aim(errand)
        self._leases.dry_run = self._options.dry_run
        self._settle()
        self._watcher.start()
        deadline = time.monotonic() + self._options.first_look_seconds
        while not self._news and time.monotonic() < deadline:
            time.sleep(0.01)
        if any(isinstance(news, Look) for news in self._news):
            return []
        return self._table.drain_all()

    def observe(self, now: int) -> list[Input]:
        """Return what happened, and what takes longer than planned."""
        self._began = True
        self._now = now
        told, self._later = self._later, []
        while self._answers:
            self._answered(now, self._answers.popleft(), told)
        while self._news:
            told += self._take(now, self._news.popleft())
        told += self._table.review(now) if self._looked else []
        if not self._options.dry_run:
            steady = time.monotonic()
            told += self._leases.overdue.not_started(now, steady, answers=self._acts)
        told += self._pump(now)
        told += self._leases.overdue.news(now)
        told += self._rates.news()
        self.leads.settle()
        told += self._readiness.news(self._allowing.of)
        if self._looked:
            self._tell_of_changes()
            told += [] if self._options.dry_run else self._moves.news()
            told += self._usage.news(everywhere=self._everywhere)
            self._everywhere = False
            if not self._follows:
                self.edits.make()
        if self._requests.dirty or (self._requests.next_look() or now + 1) <= now:
            self._make_requests(now)
        self._settle()
        return told

    def enact(self, now: int, decisions: Sequence[Decision]) -> None:
        """Aim VMs at what was decided, and give the first commands.

        What is handed over before the first :meth:`observe` is an earlier manager's.
        """
        if not self._began:
            self._leases.finish(now, decisions)
            return
        self._leases.follow(now, decisions)
        self._leases.overdue.follow(decisions)
        self._moves.confirm(decisions)
        self._readiness.follow(decisions)
        self._allowing.follow(decisions)
        self._settle()
        # What this leads to is told by the next observation.
        self._later += [*self._pump(now), *self._rates.news()]

    def next_event(self) -> int | None:
        """The next moment when a command can be given, a host counts as dead, or an end is due."""
        if self._news or self._answers or self._later or self._requests.dirty:
            return self._now
        moments = (
            self._enactment.next_moment() if self._acts else None,
            self._leases.overdue.next_moment(),
            self._table.next_review(),
            self._requests.next_look(),
        )
        return min((moment for moment in moments if moment is not None), default=None)

    def answered_before(self, names: Iterable[str]) -> None:
        """VMs whose leases are over since an earlier run: they have their answer."""
        self._requests.answered_before.update(int(name) for name in names if name.isdigit())

    # --- other threads -------------------------------------------------------------------

    def _hear(self, news: News) -> None:
        self._news.append(news)
        self._wake()

    def _hear_answer(self, answer: Answer) -> None:
        self._answers.append(answer)
        if not self._options.dry_run:
            self._watcher.look_at([answer.order.vm])
        self._wake()

    # --- what was heard ------------------------------------------------------------------

    @property
    def _acts(self) -> bool:
        """True if commands can be given."""
        return self._looked and not self._down and not self._follows

    def _answered(self, now: int, answer: Answer, told: list[Input]) -> None:
        if answer.unreachable:
            self._learning.disturbed()
        outcome = self._enactment.answered(now, answer)
        if outcome is not None:
            told += self._leases.outcome(now, outcome)
        errand = self._ledger.errands.get(answer.order.vm)
        if errand is not None and not answer.error and not self._options.dry_run:
            self._learning.accepted(now, errand, answer.order.verb)
        if self._options.dry_run and errand is not None:
            self._ledger.reach(errand)
            told += self._leases.outcome(now, Outcome(errand, What.REACHED))

    def _take(self, now: int, news: News) -> list[Input]:
        match news:
            case Down():
                self._down = True
                self._learning.disturbed()
                return []
            case Follower():
                if not self._follows:
                    _log.warning("this OpenNebula is not the leader of its zone: Haizea watches")
                self._follows, self._down = True, False
                return []
            case Look():
                self._down = False
                self._follows &= not news.whole
                return self._look(now, news)

    def _look(self, now: int, look: Look) -> list[Input]:
        told: list[Input] = []
        version = self._client.version()
        self._seen.legacy = version.is_legacy
        self._seen.waits.rule(self._options.waits_in or waits_by_version(version))
        count = len(self._table.entries)
        self._everywhere |= look.hosts is not None or look.host is not None
        if look.hosts is not None:
            told += self._table.update(now, look.hosts)
        if look.host is not None:
            told += self._table.see(now, look.host)
        self._learning.ended(now, look.vms)
        changed = self._seen.take(now, look)
        if look.whole:
            leased = map(self._seen.get, self._ledger.lease_of)
            self._seen.waits.settle(seen.vm for seen in leased if seen is not None)
        if look.restarted:
            self._seen.orphan(now)
            self._enactment.restarted()
            self._endings.restart(now)
            self._learning.disturbed()
        if look.server and look.server != self._server and self._keep_server(look.server):
            self._server = look.server
        if look.whole and not self._looked:
            self._looked = True
            changed |= self._ledger.lease_of.keys() | self._ledger.errands.keys()
        grew = len(self._table.entries) > count
        differ = False
        if look.hosts is not None or look.surroundings is not None or grew:
            differ = self.placing.renew(look.surroundings, legacy=self._seen.legacy)
            self._requests.dirty = True
        self._requests.notice(changed)
        self.edits.notice(changed)
        self._ledger.changed |= changed
        if look.whole:
            self._moves.ask_again()
        for vm in sorted(changed):
            self._enactment.room.settled(vm)
            told += self._leases.judge(now, vm)
        if look.whole or grew or differ:
            told += self._allowing.match_again()
        return told

    # --- what follows --------------------------------------------------------------------

    def _pump(self, now: int) -> list[Input]:
        if not self._acts:
            return []
        told: list[Input] = []
        self._rates.review()
        for outcome in list(self._enactment.pump(now)):
            if outcome.what is What.REACHED:
                self._learning.reached(now, outcome.errand)
            told += self._leases.outcome(now, outcome)
        return told + self._allowing.not_started(told)

    def _tell_of_changes(self) -> None:
        lease_of = self._ledger.lease_of
        leases = {lease_of[vm] for vm in self._ledger.changed if vm in lease_of}
        if leases:
            self._tell_again(sorted(leases))

    def _make_requests(self, now: int) -> None:
        if self._follows:
            self._requests.dirty = False
            return
        for submission in self._requests.make(now):
            submission.answer.add_done_callback(partial(self._decided, submission))
            self._ask(submission)

    def _decided(self, submission: Submission, answer: Future[Decided]) -> None:
        """Note what was decided on a request, or that no answer came."""
        decided = None if answer.exception() is not None else answer.result()
        self._requests.answered(submission, decided)
        if decided is not None and not decided.repeated:
            self._allowing.note(decided.record.id, submission.allowed)

    def _settle(self) -> None:
        """Pass on which VMs have leases now, and what is to be looked at."""
        moved, self._leases.moved = self._leases.moved, set()
        if moved:
            self._requests.notice(moved)
            self.edits.notice(moved)
            self._allowing.forget()
            self._watcher.expect = frozenset(self._ledger.lease_of)
        self._watcher.watch = frozenset(self._ledger.open | self._ledger.disturbed)
        if doubted := self._leases.overdue.take_doubted():
            self._watcher.look_at(doubted)
