"""The cost of a study beside its runs, and its memory as their number grows.

    python -m bench.study

makes studies of many small runs, a few jobs each, one at a time, by ``haizea study run``. What a
run costs is the difference between a large study and a small one, in CPU seconds of the command
and its worker together; the run itself is the same simulation without a study around it, measured
in this process. It writes bench/results/study.json; ``python -m bench --page`` writes
docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.measure import HAIZEA, Usage, run
from haizea.config import loads
from haizea.runtime import Simulation
from haizea.study.expansion import read_runs
from haizea.study.workload import generate_options
from haizea.workloads.generate import generate

FEW, MANY = 1_000, 10_000
RESULT = Path(__file__).parent / "results" / "study.json"
LIMIT_SECONDS = 3_600

#: So many runs are made without a study, to know what the simulation alone takes.
ALONE = 200


def described(place: Path, runs: int) -> Path:
    """The file of a study of so many runs."""
    path = place / f"{runs}.yaml"
    path.write_text(f"fixed: {{hosts: 4, jobs: 5, load: 0.8}}\nfactors: {{seed: 1..{runs}}}\n")
    return path


def study(place: Path, runs: int) -> Usage:
    """The cost of a study of so many runs, with its tables."""
    path = described(place, runs)
    command = [*HAIZEA, "study", "run", str(path), "-j", "1"]
    usage, said = run(command, LIMIT_SECONDS)
    assert said.startswith(f"{runs} of {runs} runs are finished, {runs} of them made now"), said
    return usage


def alone_ms(place: Path) -> float:
    """The CPU time of one of the runs without a study: its workload, simulation and results."""
    took = []
    for made in read_runs(described(place, ALONE))[1]:
        recipe = made.recipe
        config = loads(recipe.configuration({}, str(place / "results")), "study")
        began = time.process_time()
        workload = generate(generate_options(dict(recipe.generated)))
        Simulation(config, workload=workload).run()
        took.append(1000 * (time.process_time() - began))
        (place / "results").unlink()
    return median(took)


def main() -> None:
    """Measure, write the figures, and print them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        few, many = study(place, FEW), study(place, MANY)
        each_ms = 1000 * (many.cpu_seconds - few.cpu_seconds) / (MANY - FEW)
        itself_ms = alone_ms(place)
    told = {
        "few": FEW,
        "many": MANY,
        "each_ms": round(each_ms, 1),
        "itself_ms": round(itself_ms, 1),
        "beside_ms": round(each_ms - itself_ms, 1),
        "few_peak_mb": round(few.peak_mb),
        "many_peak_mb": round(many.peak_mb),
        "load_average": round(os.getloadavg()[0], 1),
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
