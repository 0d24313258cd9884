"""The service: puts its parts together, runs the loop, ends in good order."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from haizea.api.app import make_app
from haizea.api.identities import CheckPassword
from haizea.api.manager import Busy
from haizea.api.server import Server
from haizea.api.settings import ApiSettings
from haizea.clock import Pace, RealClock
from haizea.config import Config, scheduling_settings
from haizea.config.words import FailureHandling, Mode
from haizea.core.model.events import Input
from haizea.core.model.hosts import Site
from haizea.core.model.policy import Policies
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.loop import collecting_rarely, run_loop
from haizea.report import STATUS, DecisionLog
from haizea.runtime import LeaseFailure, RunError, mapper_of, policies_of
from haizea.service.alterations import answer_previews
from haizea.service.answers import Answers
from haizea.service.backends import Behind, open_backend
from haizea.service.belonging import is_known
from haizea.service.board import Board
from haizea.service.drafts import parse_lease
from haizea.service.expectations import Expectations
from haizea.service.figures import Figures
from haizea.service.inbox import Inbox
from haizea.service.manager import About, ServiceManager
from haizea.service.offers import notice_seconds
from haizea.service.paths import Paths
from haizea.service.recovery import describe, on_hosts, site_problem
from haizea.service.steadfast import Steadfast
from haizea.service.trials import Trials
from haizea.service.turns import Enacting, Stopped, Turns
from haizea.service.upkeep import UpkeepDesk, next_window_id
from haizea.service_types import Alteration, Role, Submission
from haizea.store import Saved, Store, StoreError

_PACE = "pace"

#: How often leases that were kept long enough are looked for, in real seconds.
_PRUNE_SECONDS = 3600.0
#: How rarely Python looks for garbage: among the leases of a large site that takes a third of a
#: second, in which nobody is answered.
_GARBAGE_THRESHOLDS = 10_000, 20, 20


def _nothing() -> None:
    """Nothing is to be done."""


class Service:
    """A service that is ready to run, once. ``store`` is locked by its caller.

    ``pace`` is how its time follows real time, where that is not the configuration's. Only with
    ``new_store`` it begins with an empty one where leases are under way that are not in it.

    Raises :class:`haizea.runtime.RunError` where it cannot run, and what store and world
    raise.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        paths: Paths,
        logger: logging.Logger,
        pace: Pace | None = None,
        *,
        new_store: bool = False,
    ) -> None:
        self._config = config
        self._store = store
        self._paths = paths
        self._logger = logger
        self._stopping = threading.Event()
        self._found = ""
        self._reading_again = False
        self._keep_seconds = config.service.keep_finished_seconds
        pace = pace or _pace(store, config)
        settings = replace(scheduling_settings(config), notice_seconds=notice_seconds(pace.speed))
        saved = store.load()
        self.clock = _clock(config, pace, saved, logger)
        self._behind = open_backend(config, store, self.clock, pace.speed, self._hand_in)
        if not (new_store or is_known(store, paths)):
            _check_nothing_runs(config, store, saved, self._behind)
        policies = self._behind.policies(policies_of(config))
        site = self._behind.site()
        saved = on_hosts(saved, len(site.hosts))
        now = self.clock.now()
        since = now if saved.now is None else saved.now
        self._backend = self._behind.backend
        self._board = Board(site, since)
        self._scheduler = self._going_on(saved, policies, settings, since)
        saved = replace(saved, records=self._scheduler.sound)
        _check_site(config, site, saved)
        about_hosts = store.about_hosts()
        self._board.start(saved, self._scheduler.queue(), about_hosts)
        self._figures = Figures()
        first = max(saved.next_lease_id, self._behind.next_lease_id)
        answers = Answers(
            self._board, store, self._figures, logger, settings.non_schedulable_seconds
        )
        upkeep = UpkeepDesk(
            self._scheduler.impact, next_window_id(saved.site.maintenance, about_hosts)
        )
        self._inbox = Inbox(
            site.types, first, store.lease_for_key, self.clock.interrupt, answers.repeated, upkeep
        )
        self._turns = Turns(
            store, self._board, self._inbox, answers, self._figures, logger, settings=settings
        )
        self.manager = self._manager(self._about(now), policies, settings)
        self._server = _server(config, self.manager, self.clock, self._behind.check_password)
        self._observers = self._behind.observers(saved.records)
        self._recover(saved, now)

    def _hand_in(self, errand: Submission | Alteration) -> None:
        """Take what the backend asks for itself."""
        try:
            self._inbox.put(errand)
        except Busy as error:
            errand.answer.set_exception(error)

    def _manager(self, about: About, policies: Policies, settings: Settings) -> ServiceManager:
        board = self._board
        return ServiceManager(
            about,
            self._store,
            board,
            self._inbox,
            self._turns,
            Expectations(board, settings, policies, about.now, self._logger),
            self._figures,
            Trials(board, settings, policies, about.now),
        )

    def _going_on(
        self, saved: Saved, policies: Policies, settings: Settings, since: int
    ) -> Steadfast:
        """A scheduler of the site as the board has it, with what was saved."""
        config = self._config

        def make(start: int) -> Scheduler:
            mapper = mapper_of(config, policies)
            return Scheduler(self._board.site, settings, policies, start, mapper)

        def load() -> Saved:
            return on_hosts(self._store.load(), len(self._board.site.hosts))

        return Steadfast(make, load, saved, since, self._logger)

    def _about(self, now: int) -> About:
        behind, clock = self._behind, self.clock
        return About(
            started=now,
            backend=behind.name,
            now=clock.now,
            problem=behind.problem,
            learned=behind.learned,
            hosts_meeting=behind.hosts_meeting,
        )

    @property
    def url(self) -> str:
        """Address of the HTTP interface, once the service runs; empty if there is none."""
        return self._server.url if self._server is not None else ""

    def stop(self) -> None:
        """End in good order. From any thread, and from a signal handler."""
        self._stopping.set()
        self._turns.stop()
        self.clock.interrupt()

    def read_again(self) -> None:
        """Have the configuration read again soon. From a signal handler, too."""
        self._reading_again = True
        self.clock.interrupt()

    def reconfigure(self, config: Config) -> None:
        """Follow what can change at run time; the log is its owner's."""
        self._keep_seconds = config.service.keep_finished_seconds
        self.clock.longest_wait_seconds = config.scheduling.wakeup_interval_seconds

    def start(self) -> None:
        """Have everything listen; :meth:`run` is next."""
        if self._found:
            self._logger.log(STATUS, "going on with %s", self._found)
        make_first_token(self._store, self._paths, self._logger)
        self._behind.start(self._paths.directory)
        if self._server is not None:
            self._server.start()

    def run(self, between_turns: Callable[[], None] = _nothing) -> None:
        """Run until it is stopped; ``between_turns`` is called there after :meth:`read_again`.

        Raises :class:`haizea.loop.SchedulerError` for a bug in the scheduler and
        :class:`haizea.store.StoreLost` where another manager took over. Raises
        :class:`haizea.runtime.LeaseFailure` where a lease failed and the configuration has
        the service end then.
        """
        pruning = threading.Thread(target=self._prune, name="prune", daemon=True)
        pruning.start()
        log = DecisionLog(self._logger, self._board.site)
        # The first turn comes at once: it plans anew what waits.
        self.clock.interrupt()
        try:
            with collecting_rarely(_GARBAGE_THRESHOLDS):
                run_loop(
                    self._scheduler,
                    self.clock,
                    Enacting(self._backend, self._store),
                    self._inbox,
                    [self._turns, log, *self._observers],
                    lambda due: self._is_over(),
                    lambda: self._between_turns(between_turns),
                )
        except Stopped:
            self._logger.warning("what was decided last could not be kept, and is forgotten")
        finally:
            self._stopping.set()
            self._inbox.close("the service ends")
            self.manager.close()
            if self._server is not None:
                self._server.stop()
            pruning.join(timeout=10)
        if self._ends_for_a_failure:
            raise LeaseFailure(f"{self._turns.failure} (lease-failure-handling)")

    def _between_turns(self, between_turns: Callable[[], None]) -> None:
        taken = self._inbox.taken
        answer_previews(
            taken.foreseen,
            self._scheduler.trial,
            self._board.lease,
            self._config.scheduling.non_schedulable_seconds,
        )
        taken.foreseen = []
        if self._reading_again:
            self._reading_again = False
            between_turns()

    @property
    def _ends_for_a_failure(self) -> bool:
        handling = self._config.general.lease_failure_handling
        return bool(self._turns.failure) and handling is not FailureHandling.CANCEL

    def _is_over(self) -> bool:
        """Tell whether it is to end, as somebody asked for or for another reason."""
        if self._stopping.is_set() or self._ends_for_a_failure:
            return True
        return self._behind.is_over(self._board.count)

    def close(self) -> None:
        """Let go of clock and backend; the store is its owner's."""
        self._behind.close()
        self.clock.close()

    def _recover(self, saved: Saved, now: int) -> None:
        """Compare what is kept with what there is, and finish what was cut off."""
        inputs: Sequence[Input] = self._backend.reconcile(now, saved.records, saved.site)
        self._backend.enact(now, saved.last_decisions)
        self._inbox.begin_with(inputs)
        if saved.now is not None:
            self._found = describe(len(saved.records), inputs, len(saved.last_decisions))
        self._store.note_start(saved.now, now)

    def _prune(self) -> None:
        """Forget leases that are over for long enough, now and then."""
        while not self._stopping.wait(_PRUNE_SECONDS):
            if self._keep_seconds is None:
                continue
            try:
                gone = self._store.prune(self.clock.now() - self._keep_seconds)
            except StoreError as error:
                self._logger.warning("what is over is forgotten later: %s", error)
                continue
            if gone:
                self._logger.info("%d leases that are over were forgotten", gone)


def _check_site(config: Config, site: Site, saved: Saved) -> None:
    """See that leases that are kept can go on on the hosts that there are now."""
    configured = config.general.mode is Mode.SIMULATED
    problem = site_problem(site, saved.records, configured=configured)
    if problem:
        raise RunError(
            f"{config.path}: [simulation] resources: {problem}; put the hosts back, cancel"
            " these leases, or begin with another persistence-file"
        )


def _check_nothing_runs(config: Config, store: Store, saved: Saved, behind: Behind) -> None:
    """See that a store in which nothing was decided yet is not in the place of another one."""
    if saved.now is None and behind.remains:
        raise RunError(
            f"{config.path}: the store {store.shown} is new, but {behind.remains}: put the store"
            " with these leases back – mount its disk, restore a backup, or correct"
            " persistence-file – or start with haizea -c FILE --new-store, which leaves these VMs"
            " alone"
        )


def _clock(config: Config, pace: Pace, saved: Saved, logger: logging.Logger) -> RealClock:
    """The clock of the run, which never is behind what is kept."""
    kept = saved.now or 0
    behind = kept - pace.at(time.time())
    if behind >= 1:
        logger.warning(
            "the clock is %d s behind the last decision: time goes on from there, at half the"
            " pace until both agree. See that the machine's clock is right; where the decision's"
            " time was wrong, begin with another persistence-file",
            behind,
        )
    return RealClock(config.scheduling.wakeup_interval_seconds, pace, not_before=kept)


def make_first_token(store: Store, paths: Paths, logger: logging.Logger) -> None:
    """Make the operator's token if there is none, where its user alone can read it."""
    taken = {info.name for info in store.tokens.list() if not info.revoked}
    if paths.has_token() and taken:
        return
    made = int(time.time())
    # A service that is started again within a second may have lost the file of that second's.
    while f"first {made}" in taken:
        made += 1
    _, secret = store.tokens.create(f"first {made}", Role.OPERATOR, "operator")
    paths.write_token(secret)
    logger.log(STATUS, "a token for this user is in %s", paths.token)


def _server(
    config: Config,
    manager: ServiceManager,
    clock: RealClock,
    check_password: CheckPassword | None,
) -> Server | None:
    section = config.service
    if section.listen is None:
        return None
    host, port = section.listen

    app = make_app(
        manager,
        ApiSettings(),
        lambda content, media_type: parse_lease(content, media_type, clock.now()),
        check_password,
    )
    return Server(app, host, port, certificate=section.tls_certificate, key=section.tls_key)


def _pace(store: Store, config: Config) -> Pace:
    """The pace of the run's time, going on where it was if the speed is another one now."""
    speed = config.world.speed if config.general.mode is Mode.SIMULATED else 1.0
    kept = store.setting(_PACE)
    real = time.time()
    pace = Pace(*json.loads(kept)) if kept is not None else Pace(speed, real, real)
    if pace.speed != speed:
        pace = Pace(speed, real, real if speed == 1 else pace.at(real))
    store.set_setting(_PACE, json.dumps(pace))
    return pace
