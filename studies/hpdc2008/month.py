"""Make all that the study needs without a download: a month like the log's, and reservations.

    python studies/hpdc2008/month.py DIRECTORY [SEED]

writes the study and its traces to DIRECTORY, and prints the statistics of its month beside those
of the log's. Batch jobs are of the model of Lublin and Feitelson with the parameters that
``haizea generate-workload --like 30days.swf`` finds, reservations as the published ones: as long
and as wide as their names say, spread evenly, asked for a day ahead.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random

from haizea.core.model.lease import Nodes
from haizea.files import write_whole
from haizea.workloads.generate import GenerateOptions, generate, load_of
from haizea.workloads.lublin import LublinModel
from haizea.workloads.model import DEFAULT_AMOUNTS, Workload, WorkloadSite
from haizea.workloads.requested import RequestedTimes
from haizea.workloads.swf_writer import swf_text

HOSTS = 144
JOBS = 5108
LOAD = 0.704
SECONDS = 30 * 86400

#: The month's length depends on chance: of the first twelve seeds, that of this is nearest to 30
#: days.
SEED = 9

MODEL = LublinModel(
    serial_prob=0.27153,
    pow2_prob=0.64448,
    u_low=0.5,
    u_med=4.14611,
    u_high=7.12928,
    u_prob=0.88632,
    a1=44.39838,
    b1=0.0975160,
    a2=16.85250,
    b2=0.460273,
    pa=-0.0109777,
    pb=0.683720,
    a_arr=3.531719,
    b_arr=1.237720,
    arar=1.0,
    a_num=15.00421,
    b_num=3.023970,
    first_slot=22,
    most_ln_runtime=11.0790609,
    most_ln_gap=10.2363543,
    has_limit=True,
)

#: What jobs of the log ask for (s), and how many of them; 97 % ask for one of these.
REQUESTED = RequestedTimes(
    seconds=(
        *(300, 600, 900, 1200, 1800, 2400, 2700, 3300, 3600, 5400, 6000, 7200, 10800, 11400),
        *(14400, 18000, 20000, 21600, 28800, 36000, 43200, 57600, 64500, 64800),
    ),
    counts=(
        *(1468, 278, 61, 203, 95, 16, 211, 30, 1033, 47, 36, 208, 63, 41),
        *(190, 96, 17, 47, 80, 115, 100, 92, 69, 363),
    ),
)

PERCENTS = ("05", "10", "15", "20", "25", "30")
HOURS = {"1h": 1, "2h": 2, "3h": 3, "4h": 4}
SIZES = {"1small": (1, 24), "2medium": (25, 48), "3large": (49, 72)}
DAY_SECONDS = 86400

IMAGES = [f"image_{number}" for number in range(1, 38)]
IMAGE_MB = 4096
#: Of the skewed list, seven images have a tenth of the jobs each, all others a hundredth.
SHARES = {"uniform": [1.0] * 37, "skewed": [0.1] * 7 + [0.01] * 30}


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of a month of jobs; load is work over what 144 hosts can do meanwhile."""

    jobs: int
    days: float
    load: float
    mean_nodes: float
    serial_share: float
    mean_run_seconds: float
    median_run_seconds: float
    mean_request_seconds: float
    share_up_to_1h: float
    share_from_10h: float


#: Those of the log's month.
LOG = Statistics(
    jobs=5108,
    days=29.953,
    load=0.7040,
    mean_nodes=8.092,
    serial_share=0.2715,
    mean_run_seconds=4454.8,
    median_run_seconds=127,
    mean_request_seconds=12299.4,
    share_up_to_1h=0.6686,
    share_from_10h=0.1562,
)


def statistics(month: Workload) -> Statistics:
    """The statistics of a month."""
    jobs = month.leases
    site = WorkloadSite(tuple(DEFAULT_AMOUNTS), (Nodes(HOSTS, dict(DEFAULT_AMOUNTS)),))
    whole = Workload(name=month.name, leases=jobs, site=site)
    nodes = [job.node_count for job in jobs]
    runs = sorted(job.real_duration_seconds or 0 for job in jobs)
    asked = [job.duration or 0 for job in jobs]
    count = len(jobs)
    return Statistics(
        jobs=count,
        days=max(job.arrival_seconds for job in jobs) / DAY_SECONDS,
        load=load_of(whole),
        mean_nodes=sum(nodes) / count,
        serial_share=nodes.count(1) / count,
        mean_run_seconds=sum(runs) / count,
        median_run_seconds=runs[count // 2],
        mean_request_seconds=sum(asked) / count,
        share_up_to_1h=sum(seconds <= 3600 for seconds in asked) / count,
        share_from_10h=sum(seconds >= 36000 for seconds in asked) / count,
    )


def batch(seed: int) -> Workload:
    """A month of batch jobs."""
    return generate(
        GenerateOptions(
            jobs=JOBS, hosts=HOSTS, seed=seed, load=LOAD, model=MODEL, requested=REQUESTED
        )
    )


def reservations(percent: str, length: str, size: str, seed: int) -> Iterator[str]:
    """Reservations of this share of the site, as a ten-column list.

    Distances between starts are uniform within an hour of their mean, durations within half an
    hour of the length, nodes within the size.
    """
    rng = Random(f"{seed} {percent} {length} {size}")
    hours, (least, most) = HOURS[length], SIZES[size]
    distance = hours * 3600 * (least + most) / 2 / (int(percent) / 100 * HOSTS)
    start, found = 0, []
    while (start := start + round(distance + 7200 * (rng.random() - 0.5))) < SECONDS:
        seconds = hours * 3600 + round(3600 * (rng.random() - 0.5))
        begins = max(0, start)
        found.append((max(0, begins - DAY_SECONDS), begins, seconds, rng.randint(least, most)))
    for asked, begins, seconds, nodes in sorted(found):
        yield f"{asked} {begins} {seconds} {seconds} {nodes} 1 1024 0 'NONE.img' 600\n"


def image_list(name: str, seed: int) -> Iterator[str]:
    """A list of images, one drawn for each job."""
    yield from (f"{image} {IMAGE_MB}\n" for image in IMAGES)
    yield "#\n"
    rng = Random(f"{seed} {name}")
    yield from (f"{image}\n" for image in rng.choices(IMAGES, SHARES[name], k=JOBS))


def write(to: Path, seed: int) -> Workload:
    """Write the study and its traces, and return the month."""
    traces = to / "traces"
    (traces / "injected-30days").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("study.yaml"), to / "study.yaml")
    month = batch(seed)
    write_whole(traces / "30days.swf", swf_text(month, ["generated: see month.py"]))
    for percent, length, size in itertools.product(PERCENTS, HOURS, SIZES):
        name = f"injected-30days/work_{percent}-dur_{length}-size_{size}.lwf"
        write_whole(traces / name, reservations(percent, length, size, seed))
    for name in SHARES:
        write_whole(traces / f"37_{name}.images", image_list(name, seed))
    return month


def table(month: Workload) -> Iterator[str]:
    """The month's statistics beside those of the log's, as rows of Markdown."""
    ours = statistics(month)
    for field in fields(Statistics):
        log, made = getattr(LOG, field.name), getattr(ours, field.name)
        digits = 0 if log >= 100 else 3
        words = field.name.replace("_", " ").replace("seconds", "(s)")
        yield f"| {words} | {log:.{digits}f} | {made:.{digits}f} |\n"


def main(words: list[str]) -> None:
    """Write what was asked for."""
    if not words:
        raise SystemExit(__doc__)
    month = write(Path(words[0]), int(words[1]) if len(words) > 1 else SEED)
    print("| | the log's month | the generated one |\n| --- | --- | --- |")
    print("".join(table(month)), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
