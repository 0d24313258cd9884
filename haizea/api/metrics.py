"""Figures in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest, metrics_core
from prometheus_client.registry import Collector

from haizea.service_types import Metric, MetricKind, Sample

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """Record of what the interface counts itself. Only the event loop's thread changes it."""

    def __init__(self) -> None:
        self.under_way = 0
        self._answers: dict[tuple[str, str], int] = {}

    def answered(self, method: str, status: int) -> None:
        """Count an answer."""
        known = method in {"GET", "HEAD", "POST", "DELETE"}
        key = (method if known else "other", str(status))
        self._answers[key] = self._answers.get(key, 0) + 1

    def metrics(self, streams: int) -> list[Metric]:
        """The figures; so many event streams are open."""
        return [
            Metric(
                name="haizea_http_requests_total",
                kind=MetricKind.COUNTER,
                help="Requests that were answered, by method and status.",
                samples=[
                    Sample(value=count, labels={"method": method, "status": status})
                    for (method, status), count in sorted(self._answers.items())
                ],
            ),
            Metric(
                name="haizea_http_requests_under_way",
                kind=MetricKind.GAUGE,
                help="Requests under way, event streams among them.",
                samples=[Sample(value=self.under_way)],
            ),
            Metric(
                name="haizea_event_streams",
                kind=MetricKind.GAUGE,
                help="Event streams that are open.",
                samples=[Sample(value=streams)],
            ),
        ]


def exposition(metrics: Iterable[Metric]) -> str:
    """All metrics as text, version 0.0.4 of the format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([_family(metric) for metric in metrics]))
    return generate_latest(registry).decode()


class _Collected(Collector):
    """Figures that were counted elsewhere."""

    def __init__(self, families: list[metrics_core.Metric]) -> None:
        self._families = families

    def collect(self) -> list[metrics_core.Metric]:
        return self._families


def _family(metric: Metric) -> metrics_core.Metric:
    family = metrics_core.Metric(metric.name.removesuffix("_total"), metric.help, metric.kind.value)
    for sample in metric.samples:
        family.add_sample(metric.name + sample.suffix, dict(sample.labels), sample.value)
    return family
