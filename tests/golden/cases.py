"""The runs that have a golden event stream: which trace, under which configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared_data import shared

ROOT = Path(__file__).resolve().parents[2]

#: A workload file: ``traces/…`` is ours, ``examples/…`` is of the shared data.
OPTIONS_WITH_FILES = ("tracefile", "injectionfile", "imagefile")

Options = Mapping[str, str]

FOUR_HOSTS = {"resources": "4 CPU:100 Memory:1024"}
SIXTEEN_HOSTS = {"resources": "16 CPU:100 Memory:1024"}
IN_TRACE = {"resources": "in-tracefile"}
PREEMPT = {"policy-preemption": "ar-preempts-everything"}
SUSPEND = {**PREEMPT, "suspension": "all"}
MIGRATE = {**SUSPEND, "migration": "yes"}
EASY = {"backfilling": "aggressive"}
TRANSFER = {"lease-preparation": "imagetransfer"}
CACHES = {"diskimage-reuse": "image-caches", "diskimage-cache-size": "20480"}


@dataclass(frozen=True, slots=True)
class Case:
    """A run: its files, and the options of each section that matter to it."""

    files: Options
    scheduling: Options = field(default_factory=dict)
    simulation: Options = field(default_factory=lambda: IN_TRACE)
    general: Options = field(default_factory=dict)
    images: Options = field(default_factory=dict)
    loglevel: str = "VDEBUG"

    def sections(self, find: bool = True) -> dict[str, dict[str, str]]:
        """The configuration; with ``find`` files are where they really are."""
        tracefile = {
            option: str(located(value)) if find and option in OPTIONS_WITH_FILES else value
            for option, value in self.files.items()
        }
        return {
            name: dict(options)
            for name, options in {
                "general": self.general,
                "scheduling": self.scheduling,
                "simulation": self.simulation,
                "tracefile": tracefile,
                "deploy-imagetransfer": self.images,
            }.items()
            if options
        }


def located(name: str) -> Path:
    """The file: ours, or one of the shared data (a test is skipped where that is absent)."""
    return ROOT / name if name.startswith("traces/") else shared(name)


def ours(name: str, scheduling: Options, images: Options | None = None) -> Case:
    """A trace of ours; with ``images``, disk images are sent as these options say."""
    return _case(f"traces/{name}", scheduling, images)


def example(name: str, scheduling: Options, images: Options | None = None) -> Case:
    """A trace of the shared data; with ``images``, disk images are sent as these options say."""
    return _case(f"examples/{name}", scheduling, images)


def _case(tracefile: str, scheduling: Options, images: Options | None) -> Case:
    files = {"tracefile": tracefile}
    if images is None:
        return Case(files, scheduling)
    return Case(files, scheduling, general=TRANSFER, images=images)


def injected(trace: str, injection: str) -> Case:
    files = {"tracefile": f"examples/{trace}", "injectionfile": f"examples/{injection}"}
    return Case(files, {**EASY, **SUSPEND}, FOUR_HOSTS, loglevel="INFO")


OURS = {
    "sample": ours("sample.lwf", SUSPEND),
    "sample-without-suspension": ours("sample.lwf", PREEMPT),
    "sample-without-preemption": ours("sample.lwf", {}),
    "sample-with-images": ours("sample.lwf", SUSPEND, images={}),
    "preemption": ours("preemption.lwf", SUSPEND),
    "preemption-without-suspension": ours("preemption.lwf", PREEMPT),
    "backfilling-off": ours("backfilling.lwf", {}),
    "backfilling-aggressive": ours("backfilling.lwf", EASY),
    "backfilling-with-suspension": ours("backfilling.lwf", {**EASY, **SUSPEND}),
    "early-end": ours("early-end.lwf", EASY),
    "early-end-with-images": Case(
        {"tracefile": "traces/early-end.lwf", "imagefile": "traces/batch.images"},
        EASY,
        general=TRANSFER,
        images=CACHES,
    ),
    "image-reuse": ours("image-reuse.lwf", {}, images=CACHES),
    "image-reuse-without-caches": ours("image-reuse.lwf", {}, images={}),
    "migration": ours("migration.lwf", MIGRATE),
    "migration-no": ours("migration.lwf", SUSPEND),
    "wait": ours("wait.lwf", {}),
    "leases": ours("leases.yaml", {**EASY, **SUSPEND}),
    "maintenance": ours("maintenance.yaml", {**EASY, **SUSPEND}),
    "deadlines": ours("deadlines.yaml", {**EASY, **SUSPEND}),
    "changes": ours("changes.yaml", {**EASY, **SUSPEND}),
    "reservations": Case({"tracefile": "traces/reservations.txt"}, simulation=SIXTEEN_HOSTS),
    "batch-with-reservations": Case(
        {"tracefile": "traces/batch.swf", "injectionfile": "traces/reservations.txt"},
        {**EASY, **MIGRATE},
        loglevel="INFO",
    ),
}

EXAMPLES = {
    "example-migrate": example("migrate.lwf", {**EASY, **MIGRATE}),
    "example-preemption": example("preemption.lwf", SUSPEND),
    "example-preemption_prematureend": example("preemption_prematureend.lwf", SUSPEND),
    "example-preemption_prematureend2": example("preemption_prematureend2.lwf", SUSPEND),
    "example-reservation": example("reservation.lwf", EASY),
    "example-reservation_prematureend": example("reservation_prematureend.lwf", EASY),
    "example-reuse1": example("reuse1.lwf", {}, images=CACHES),
    "example-reuse2": example("reuse2.lwf", {}, images=CACHES),
    "example-sample": Case({"tracefile": "examples/sample.lwf"}, SUSPEND, FOUR_HOSTS),
    "example-wait": example("wait.lwf", EASY),
    "example-wait-with-images": Case(
        {"tracefile": "examples/wait.lwf", "imagefile": "examples/sample.images"},
        EASY,
        general=TRANSFER,
        images={**CACHES, "transfer-mechanism": "multicast"},
    ),
    **{
        f"example-{trace}-{injection}": injected(f"{trace}.lwf", f"{injection}.lwf")
        for trace in ("withprematureend", "withoutprematureend")
        for injection in ("inj1", "inj2")
    },
}

CASES = {**OURS, **EXAMPLES}
