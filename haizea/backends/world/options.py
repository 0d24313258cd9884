"""Faults of a simulated world, and how often they occur.

Chance depends on the world's seed and on what is asked, never on when or how often somebody
looks: the same command has the same fate whenever it is given.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from haizea.backends.chances import describe_chances
from haizea.core.model.events import Purpose
from haizea.core.model.resources import FOREVER

#: What runs without end fails, if it fails at all, within this many seconds.
_ENDLESS_RUN_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The outcome of a command for one VM: it fails so many seconds after it began, or it
    takes so much longer than planned, or (both left as they are) neither."""

    fails_after_seconds: int | None = None
    late_seconds: int = 0


SMOOTH = Fate()


@dataclass(frozen=True, slots=True)
class Lot:
    """The outcome of an operation of a lease: the VM that is to blame, and its fate."""

    node: int
    fate: Fate

    def of(self, node: int) -> Fate:
        """The fate of the VM of this lease node."""
        return self.fate if node == self.node else SMOOTH


_NOBODY = Lot(0, SMOOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """Faults of a world.

    ``failures`` and ``delays`` give, by purpose, the probability (0 to 1) that an operation
    of a lease fails before its planned end or takes longer, by 1 to
    ``longest_delay_seconds`` s; one of its VMs is to blame. A run can fail but not be
    delayed. ``early_ends`` is the probability that a lease ends by itself, at a random
    moment of its duration. Hosts die every ``host_failure_seconds`` s each, on average (0:
    never), and are back after ``host_repair_seconds`` s.

    ``keep_days``: what is over for longer is forgotten. ``seed`` is the only source of
    randomness. Raises :class:`ValueError` for anything that is not a probability, a
    negative or missing time, or a delayed run.
    """

    failures: Mapping[Purpose, float] = field(default_factory=dict)
    delays: Mapping[Purpose, float] = field(default_factory=dict)
    longest_delay_seconds: int = 60
    early_ends: float = 0.0
    host_failure_seconds: int = 0
    host_repair_seconds: int = 600
    keep_days: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        named = [*self.failures.items(), *self.delays.items(), ("early ends", self.early_ends)]
        for name, probability in named:
            if not 0 <= probability <= 1:
                raise ValueError(f"{name}: {probability} is not a probability (0 to 1)")
        if self.delays.get(Purpose.RUN):
            raise ValueError("a run cannot be delayed: it ends with the lease's duration")
        if self.longest_delay_seconds < 1 or self.host_repair_seconds < 1 or self.keep_days < 1:
            raise ValueError("delays, repairs and what is kept last at least 1 s, 1 s and 1 day")
        if self.host_failure_seconds < 0:
            raise ValueError("hosts cannot fail more often than never")

    @property
    def hosts_die(self) -> bool:
        """True if hosts ever die by themselves."""
        return self.host_failure_seconds > 0

    def describe(self) -> str:
        """In a few words, for results; empty if all is carried out as planned."""
        chances = describe_chances(self.seed, self.failures, self.delays)
        dying = f"hosts die every {self.host_failure_seconds} s" if self.hosts_die else ""
        return "; ".join(filter(None, [chances, dying]))

    def fate(self, lease: int, purpose: Purpose, due: int, seconds: int, nodes: int) -> Lot:
        """The outcome of an operation of a lease: which VM is to blame, if any.

        ``due`` is when it was decided, ``seconds`` how long it is planned to take. What
        takes no time cannot go wrong.
        """
        failing, late = self.failures.get(purpose, 0), self.delays.get(purpose, 0)
        if seconds <= 0 or not (failing or late):
            return _NOBODY
        chance = random.Random(f"{self.seed} {lease} {purpose} {due}")
        first, second, node = chance.random(), chance.random(), chance.randint(1, nodes)
        if first < failing:
            length = _ENDLESS_RUN_SECONDS if due + seconds >= FOREVER else seconds
            # Not in the second in which it begins: it would be tried again then, with the
            # same fate.
            return Lot(node, Fate(fails_after_seconds=chance.randint(1, max(length - 1, 1))))
        if second < late:
            return Lot(node, Fate(late_seconds=chance.randint(1, self.longest_delay_seconds)))
        return _NOBODY

    def life_seconds(self, lease: int, due: int, duration: int | None) -> int | None:
        """The time that the VMs of a lease run until they end by themselves; ``None``: they do not.

        It is drawn when they start from nothing (``due``).
        """
        if not self.early_ends or duration is None or duration < 2:
            return None
        chance = random.Random(f"{self.seed} {lease} life {due}")
        return chance.randrange(1, duration) if chance.random() < self.early_ends else None

    def host_lasts_seconds(self, host: int, since: int) -> int | None:
        """The time that a host that came up ``since`` then stays up; ``None``: for ever."""
        if not self.hosts_die:
            return None
        chance = random.Random(f"{self.seed} host {host} {since}")
        return max(1, round(chance.expovariate(1 / self.host_failure_seconds)))
