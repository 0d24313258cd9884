"""A Haizea that drives an OpenNebula, as a process of its own, to be killed."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

from haizea.clock import Pace
from haizea.config import load
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.store import Store


def main(directory: Path, speed: float, start: float, wall: float) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(filename=directory / "haizea.log", level=logging.INFO)
    config = load(directory / "haizea.conf")
    paths = Paths(directory / "state")
    paths.prepare()
    store = Store.open(str(directory / "leases.db"))
    assert store.lock(wait=True, stopped=lambda: False)
    service = Service(config, store, paths, logging.getLogger("haizea"), Pace(speed, wall, start))
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    service.start()
    service.run()
    service.close()
    store.close()
