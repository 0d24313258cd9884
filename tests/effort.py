"""Effort of property tests: repeatable by default, longer and by chance on request.

``HAIZEA_EFFORT=20`` makes them try twenty times as many examples, from a random seed that
pytest's header prints; ``HAIZEA_SEED`` repeats that seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine

from haizea.core.model.settings import Settings

EFFORT = int(os.environ.get("HAIZEA_EFFORT", "0"))
SEED = int(os.environ.get("HAIZEA_SEED") or random.SystemRandom().randrange(1 << 32))

#: The default of ``remapping-effort``.
DEFAULT_LOOKS = Settings().remapping_effort
#: What it is in a run that is drawn, most often a small part of the default: searches that take all
#: of that look at much the same again, and took most of the time of such runs. Short ones end
#: early, and so in more places.
LOOKS = (300,) * 13 + (1000,) * 6 + (DEFAULT_LOOKS,)

_Machine = TypeVar("_Machine", bound=RuleBasedStateMachine)
_Test = TypeVar("_Test", bound=Callable[..., Any])


def how_hard(examples: int, **options: Any) -> settings:
    """Settings for a test that tries so many examples by default."""
    return settings(
        max_examples=examples * max(EFFORT, 1),
        deadline=None,
        derandomize=not EFFORT,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        **options,
    )


def tries(examples: int) -> Callable[[_Test], _Test]:
    """Decorate a property test: it tries so many examples by default."""

    def decorate(test: _Test) -> _Test:
        decorated = how_hard(examples)(test)
        return seed(SEED)(decorated) if EFFORT else decorated

    return decorate


def looks_by(seed: int) -> int:
    """Return the ``remapping-effort`` of the run of this seed, drawn apart from all else."""
    return random.Random(f"looks {seed}").choice(LOOKS)


def seeded(machine: type[_Machine]) -> type[_Machine]:
    """Decorate a state machine: it takes the seed, if there is one."""
    return seed(SEED)(machine) if EFFORT else machine


def header() -> str:
    """Return what pytest says about it."""
    if not EFFORT:
        return "property tests: the same examples each time (HAIZEA_EFFORT=n for n times as many)"
    return f"property tests: {EFFORT} times the examples, HAIZEA_SEED={SEED}"
