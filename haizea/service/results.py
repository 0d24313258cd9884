"""A service's store as a results file, so that all that reads results reads a service's too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

from haizea import __version__
from haizea.accounting.probes import make_probes
from haizea.accounting.results import ResultsFile
from haizea.config import Config, make_site
from haizea.config.words import Mode
from haizea.core.model.hosts import Site
from haizea.core.model.turn import Turn
from haizea.runtime import RunError
from haizea.service.world import world_options
from haizea.service_types import Event
from haizea.store import Store, StoreMissing

_PAGE = 5_000


def save(config: Config, path: Path) -> int:
    """Write what the service of a configuration has kept; answers how many decisions.

    Raises :class:`haizea.runtime.RunError` where it keeps nothing, and what
    :func:`write_results` raises.
    """
    place = config.general.persistence_file
    if place is None:
        raise RunError(
            f"{config.path}: [general] persistence-file: none: such a service keeps nothing"
        )
    try:
        store = Store.open(
            str(place.expanduser() if isinstance(place, Path) else place), create=False
        )
    except StoreMissing as error:
        raise RunError(f"{config.path}: {error}: start the service, which makes it") from error
    try:
        site = make_site(config.simulation.resources or ())
        return write_results(store, config, site, path)
    finally:
        store.close()


def write_results(store: Store, config: Config, site: Site, path: Path) -> int:
    """Write all that the store has into the results file ``path``; answers how many events.

    A service may be using the store; it is read up to its last event. Raises
    :class:`haizea.accounting.errors.ResultsError` and the store's errors.
    """
    simulated = config.general.mode is Mode.SIMULATED
    periods = store.service_periods()
    absences = [(last, started) for (_, last), (started, _) in pairwise(periods)]
    ended = max((last for _, last in periods), default=0)
    results = ResultsFile(
        path,
        site,
        config.rows(),
        dict(config.accounting.attributes),
        "service",
        __version__,
        probes=make_probes(config.accounting.probes),
        start=periods[0][0] if periods else 0,
        faults=world_options(config).describe() if simulated else "",
        absences=absences,
    )
    count = 0
    try:
        for time, events in groupby(_events(store), key=lambda event: event.time):
            decisions = [event.decision for event in events]
            results.note(Turn(time, decisions))
            count += len(decisions)
            ended = max(ended, time)
    except BaseException:
        results.discard()
        raise
    results.finish("interrupted", ended)
    return count


def _events(store: Store) -> Iterator[Event]:
    after = 0
    while page := store.events(after, _PAGE):
        yield from page
        after = page[-1].id
