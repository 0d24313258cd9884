"""Figures about a service since it started, for whoever watches over it."""

from __future__ import annotations

from bisect import bisect_left

from haizea.service_types import Metric, MetricKind, Sample

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Durations of something, counted by upper bounds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def samples(self) -> list[Sample]:
        """Return the samples as Prometheus wants them."""
        total, found = 0, []
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), self._counts, strict=True):
            total += count
            found.append(Sample(value=total, labels={"le": bound}, suffix="_bucket"))
        found.append(Sample(value=self._sum, suffix="_sum"))
        found.append(Sample(value=total, suffix="_count"))
        return found


class Figures:
    """Counts of the loop's thread; others may read them at any time."""

    def __init__(self) -> None:
        self.turns = 0
        self.late_turns = 0
        self.store_retries = 0
        self.store_problem = ""
        self.submitted: dict[str, int] = {"accepted": 0, "queued": 0, "rejected": 0, "repeated": 0}
        self.cancelled = 0
        self.decisions: dict[str, int] = {}
        self.turn_seconds = Histogram()
        self.save_seconds = Histogram()

    def metrics(self) -> list[Metric]:
        """All of them."""
        return [
            _counter("haizea_turns_total", "Times the schedule was looked at.", self.turns),
            _counter(
                "haizea_late_turns_total",
                "Times something was carried out a second or more after it was due.",
                self.late_turns,
            ),
            _counter(
                "haizea_store_retries_total",
                "Times the store could not be written and was tried again.",
                self.store_retries,
            ),
            _counted("haizea_requests_total", "Lease requests.", "outcome", self.submitted),
            _counter("haizea_cancellations_total", "Requests to end a lease.", self.cancelled),
            _counted("haizea_decisions_total", "Decisions.", "decision", self.decisions),
            Metric(
                name="haizea_turn_seconds",
                kind=MetricKind.HISTOGRAM,
                help="Seconds of scheduling and saving a turn.",
                samples=self.turn_seconds.samples(),
            ),
            Metric(
                name="haizea_save_seconds",
                kind=MetricKind.HISTOGRAM,
                help="Seconds of saving a turn.",
                samples=self.save_seconds.samples(),
            ),
        ]


def _counter(name: str, text: str, value: float) -> Metric:
    return Metric(name=name, kind=MetricKind.COUNTER, help=text, samples=[Sample(value=value)])


def _counted(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    samples = [Sample(value=count, labels={label: word}) for word, count in sorted(counts.items())]
    return Metric(name=name, kind=MetricKind.COUNTER, help=text, samples=samples)
