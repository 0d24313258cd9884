"""Profiles of runs: ``python -m bench.profiles CONFIG DATAFILE`` prints where the time goes.

The profiler makes calls dearer than they are, small ones most; the shares show where to
look, not what would be saved.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from haizea.config import load
from haizea.runtime import Simulation

#: So many functions are listed.
TOP = 12

_ROOMS = {
    "accounting": "recording (accounting, probes)",
    "workloads": "reading the trace",
    "backends": "simulated backend",
    "loop.py": "the loop",
    "clock.py": "the loop",
}


def profile(config: Path, datafile: Path) -> dict[str, Any]:
    """Run Haizea here, and share out its time: by ``rooms`` and by ``functions``."""
    loaded = load(config)
    with_results = replace(loaded, accounting=replace(loaded.accounting, datafile=datafile))
    profiler = cProfile.Profile()
    profiler.runcall(lambda: Simulation(with_results).run())
    return shares(pstats.Stats(profiler).stats)  # type: ignore[attr-defined]


def shares(stats: Mapping[tuple[str, int, str], Any]) -> dict[str, Any]:
    """Shares of all time: of each room, and of the functions that take most themselves.

    What built-in functions take counts for the rooms that call them.
    """
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    whole = sum(entry[2] for entry in stats.values())
    for (path, _, name), (_, _, own, _, callers) in stats.items():
        if "/haizea/" in path:
            rooms[_room(path)] += own
            functions[f"{_short(path)} {name}"] += own
            continue
        functions["generated " + name if path == "<string>" else name.strip("<>")] += own
        for (caller, _, _), (_, _, part, _) in callers.items():
            rooms[_room(caller)] += part
    return {
        "rooms": {name: own / whole for name, own in rooms.most_common()},
        "functions": {name: own / whole for name, own in functions.most_common(TOP)},
    }


def _short(path: str) -> str:
    return path.rpartition("/haizea/")[2]


def _room(path: str) -> str:
    if "/haizea/" not in path:
        return "everything else"
    room, *inner = _short(path).split("/")
    if room == "core":
        return f"core: {inner[0]}" if len(inner) > 1 else "core: the scheduler itself"
    return _ROOMS.get(room, "everything else")


if __name__ == "__main__":
    print(json.dumps(profile(Path(sys.argv[1]), Path(sys.argv[2]))))
