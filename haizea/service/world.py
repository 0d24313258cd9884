"""The simulated site that a configuration describes, in real time."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.backends.world import World, WorldError, WorldOptions
from haizea.config import Config
from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Site


def world_options(config: Config) -> WorldOptions:
    """Return what goes wrong in the world. Raises :class:`ValueError`, in words."""
    section = config.world
    return WorldOptions(
        failures=_by_purpose(section.failures),
        delays=_by_purpose(section.delays),
        longest_delay_seconds=section.longest_delay_seconds,
        early_ends=section.early_ends,
        host_failure_seconds=section.host_failure_seconds or 0,
        host_repair_seconds=section.host_repair_seconds,
        keep_days=section.keep_days,
        seed=section.seed,
    )


def open_world(config: Config, site: Site, now: int, store: str) -> World:
    """The world in its file, with the hosts of the site, for the manager of this store.

    Raises :class:`haizea.backends.world.WorldError` or :class:`ValueError`, in words.
    """
    path = config.world.file.expanduser()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WorldError(
            f"{path.parent}: this folder for the simulated world cannot be made: {error.strerror}."
            " Set file in [world] to where Haizea may write"
        ) from error
    return World.open(path, site.hosts, now, world_options(config), store=store)


def _by_purpose(chances: Iterable[tuple[str, float]]) -> dict[Purpose, float]:
    return {Purpose(name): chance for name, chance in chances}
