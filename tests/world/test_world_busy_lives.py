"""Busy hours with changes, maintenance, kills and standstills: every rule holds in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from busy_lives import live_busily
from effort import EFFORT, SEED

from haizea.checker import check_file

pytestmark = pytest.mark.slow

SEEDS = range(4) if not EFFORT else range(SEED, SEED + 10 * EFFORT)
SECONDS = 1200 if not EFFORT else 3600


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_a_busy_life_breaks_no_rule(seed: int, tmp_path: Path) -> None:
    world, results = live_busily(seed, SECONDS, tmp_path)
    assert world.incidents() == []
    assert [vm for vm in world.vms() if vm.there] == []
    world.close()
    assert [str(violation) for violation in check_file(results).violations] == []
