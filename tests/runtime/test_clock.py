"""The simulated clock."""

from __future__ import annotations

import pytest

from haizea.clock import SimulatedClock
from haizea.core.model.resources import FOREVER


def test_it_jumps_and_never_goes_back() -> None:
    clock = SimulatedClock(1000)
    assert clock.now() == 1000
    assert clock.wait_until(5000) == 5000
    assert clock.wait_until(2000) == 5000
    assert clock.now() == 5000


def test_an_interrupted_wait_makes_no_jump() -> None:
    clock = SimulatedClock(1000)
    clock.interrupt()
    clock.interrupt()
    assert clock.wait_until(5000) == 1000
    assert clock.wait_until(5000) == 5000


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(ValueError, match="for ever"):
        SimulatedClock(0).wait_until(FOREVER)
