"""The process around a service: signals, process id, detaching, the end."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from haizea.api.server import ServerError
from haizea.backends.world import WorldError
from haizea.config import Config, ConfigError, load
from haizea.config.words import Mode
from haizea.locks import LockFile
from haizea.loop import EndlessInstant, SchedulerError, collecting_rarely
from haizea.report import STATUS
from haizea.runtime import LeaseFailure, RunError
from haizea.service.belonging import check_store, claim_store, open_store
from haizea.service.logs import ServiceLog
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.service.systemd import tell_ready, tell_stopping
from haizea.store import Store, StoreError


def serve(
    config: Config, *, log: Path | None, ready: Callable[[str], None], new_store: bool = False
) -> int:
    """Run the service in this process until it is stopped; the exit status.

    ``log`` is where the log goes, standard error if ``None``. ``ready`` is called with the
    address once it serves. It begins with a ``new_store``, though it had one before, only if
    told so. Raises :class:`RunError` where it cannot begin.
    """
    paths = Paths.of(config.service.state_directory)
    with ExitStack() as exits:
        # What a start reads stays: with many leases, looking for garbage in it takes a tenth of it.
        exits.enter_context(collecting_rarely())
        try:
            warning = paths.prepare()
            exits.enter_context(_only_one(paths))
            # One that was killed has left its number there, which nobody may take for this one's.
            paths.remove_pid()
            service_log = ServiceLog(config, log, lambda: int(time.time()))
        except OSError as error:
            raise _unwritable(config, paths, error) from None
        exits.callback(service_log.close)
        logger = service_log.logger
        if warning:
            logger.warning("%s", warning)
        ended = _Ended()
        exits.enter_context(ended.listening())
        try:
            opened = _store(config, paths, ended, logger.warning, new_store=new_store)
            store = exits.enter_context(opened)
            if store is None:
                return 0
            service = Service(config, store, paths, logger, new_store=new_store)
            exits.callback(service.close)
            service_log.follow(service.clock.now)
            ended.then(service.stop, service.read_again)
            if _lasts(config) and (news := claim_store(store, paths)):
                logger.warning("%s", news)
            service.start()
            exits.callback(paths.remove_pid)
            paths.write_pid()
        except (StoreError, WorldError, ServerError, ValueError) as error:
            raise RunError(f"{config.path}: {error}") from error
        except OSError as error:
            raise _unwritable(config, paths, error) from None
        where = f" on {service.url}" if service.url else ""
        logger.log(STATUS, "Haizea is at work%s", where)
        tell_ready(f"at work{where}")
        ready(service.url)
        try:
            service.run(lambda: _reread(config, service, service_log))
        except (StoreError, WorldError, LeaseFailure) as error:
            logger.error("%s", error)
            return 1
        except (SchedulerError, EndlessInstant) as error:
            logger.exception("the scheduler failed, which is a bug in Haizea: %s", error)
            return 1
        logger.log(STATUS, "Haizea ended")
    return 0


def _unwritable(config: Config, paths: Paths, error: OSError) -> RunError:
    is_link = error.errno == errno.ELOOP
    why = "it is a link, and links are not followed here" if is_link else error.strerror
    return RunError(
        f"{config.path}: {error.filename or paths.directory} cannot be written:"
        f" {why}. Set state-directory in [service], and logfile in [general] if"
        " there is one, to where Haizea may write"
    )


@contextmanager
def _store(
    config: Config,
    paths: Paths,
    ended: _Ended,
    say: Callable[[str], None],
    *,
    new_store: bool,
) -> Iterator[Store | None]:
    """The store, locked by this manager; ``None`` if a standby is stopped before it has it."""
    with ExitStack() as exits:
        place = config.general.persistence_file
        if place is None or not _lasts(config):
            # What was only tried must not be taken for real later.
            directory = exits.enter_context(TemporaryDirectory(prefix="haizea-"))
            store = Store.open(str(Path(directory) / "leases.db"))
        else:
            where = place.expanduser() if isinstance(place, Path) else place
            store = open_store(str(where), paths, new_store=new_store)
        exits.callback(store.close)
        for note in store.notes:
            say(note)
        if not store.lock(wait=False):
            holder = store.holder()
            if not config.service.standby:
                raise RunError(
                    f"{config.path}: another manager has the leases in {store.shown} ({holder}):"
                    " stop it, or set standby: yes in [service] to wait and take over"
                )
            standing_by = f"standing by: {holder} has the leases in {store.shown}"
            say(standing_by)
            # That it waits is what was asked for: systemd must not take it for a start that hangs.
            tell_ready(standing_by)
            if not store.lock(wait=True, stopped=lambda: ended.asked):
                yield None
                return
            say(f"took over the leases in {store.shown}")
        if _lasts(config):
            check_store(store, paths, new_store=new_store)
        yield store


def _lasts(config: Config) -> bool:
    """Tell whether what the service does is kept for the next one."""
    dry = config.general.mode is Mode.OPENNEBULA and config.opennebula.dry_run
    return config.general.persistence_file is not None and not dry


class _Ended:
    """Note of whether the process was asked to end, and of whom to tell."""

    def __init__(self) -> None:
        self.asked = False
        self._stop: Callable[[], None] | None = None
        self._reread: Callable[[], None] | None = None

    def then(self, stop: Callable[[], None], reread: Callable[[], None]) -> None:
        """Have these called when asked to end, or to read the configuration again."""
        self._stop, self._reread = stop, reread
        if self.asked:
            stop()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to signals; the handlers before are back afterwards."""
        handlers = {
            signal.SIGINT: self._end,
            signal.SIGTERM: self._end,
            signal.SIGHUP: self._read,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: object) -> None:
        self.asked = True
        tell_stopping()
        if self._stop is not None:
            self._stop()

    def _read(self, number: int, frame: object) -> None:
        if self._reread is not None:
            self._reread()


def _reread(config: Config, service: Service, log: ServiceLog) -> None:
    """Follow what changed in the configuration's file, as far as that is possible."""
    try:
        changed = load(config.path)
    except (ConfigError, OSError) as error:
        log.logger.error("the configuration was not read again: %s", error)
        return
    log.configure(changed)
    service.reconfigure(changed)
    later = sorted(
        f"[{section}] {name}"
        for (section, name, old), (_, _, new) in zip(config.rows(), changed.rows(), strict=True)
        if old != new and (section, name) not in _AT_ONCE
    )
    rest = f"; these need a restart: {', '.join(later)}" if later else ""
    log.logger.log(STATUS, "the configuration was read again%s", rest)


#: What takes effect when the configuration is read again.
_AT_ONCE = {
    ("general", "loglevel"),
    ("scheduling", "wakeup-interval"),
    ("service", "log-format"),
    ("service", "keep-finished"),
}


@contextmanager
def _only_one(paths: Paths) -> Iterator[None]:
    """One service alone uses the directory. Raises :class:`RunError`."""
    lock = LockFile(paths.lock)
    try:
        if not lock.take():
            pid = paths.read_pid()
            which = f" (process {pid})" if pid else ""
            raise RunError(
                f"another Haizea{which} uses {paths.directory} already: end it with --stop, or"
                " set state-directory in [service] to one of its own"
            )
        yield
    finally:
        lock.close()


def detach(config: Config, *, new_store: bool = False) -> int:
    """Run the service in a process of its own and return when it serves; the exit status."""
    log = config.general.logfile or Paths.of(config.service.state_directory).log
    told, tells = os.pipe()
    if os.fork() == 0:
        os.close(told)
        _run_detached(config, log, tells, new_store)
    os.close(tells)
    with os.fdopen(told, encoding="utf-8") as answers:
        answer = answers.read()
    status, _, text = answer.partition(" ")
    if status == "ready":
        sys.stdout.write(f"Haizea is at work{text}; its log is {log}\n")
        return 0
    sys.stderr.write(f"Error: {text or f'Haizea ended at once; see {log}'}\n")
    return 2 if status == "wrong" else 1


def _run_detached(config: Config, log: Path, tells: int, new_store: bool) -> None:
    """The child: leave terminal and session, tell once how it went, never return."""

    def tell(text: str) -> None:
        os.write(tells, text.encode())
        os.close(tells)

    status = 1
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        status = serve(
            config,
            log=log,
            ready=lambda url: tell(f"ready {url and ' on ' + url}"),
            new_store=new_store,
        )
    except RunError as error:
        tell(f"wrong {error}")
    finally:
        os._exit(status)
