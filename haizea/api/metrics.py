"""Figures in the text format of Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from haizea.api.manager import Metric, MetricKind, Sample

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """What the interface counts itself. Only the event loop's thread changes it."""

    def __init__(self) -> None:
        self.streams = 0
        self.under_way = 0
        self._answers: dict[tuple[str, str], int] = {}

    def answered(self, method: str, status: int) -> None:
        """Count an answer."""
        known = method in {"GET", "POST", "DELETE"}
        key = (method if known else "other", str(status))
        self._answers[key] = self._answers.get(key, 0) + 1

    def metrics(self) -> list[Metric]:
        """The figures."""
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
                samples=[Sample(value=self.streams)],
            ),
        ]


def exposition(metrics: Iterable[Metric]) -> str:
    """All metrics as text, version 0.0.4 of the format."""
    lines: list[str] = []
    for metric in metrics:
        help_text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {metric.name} {help_text}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [
            f"{metric.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}"
            for sample in metric.samples
        ]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (
        '{}="{}"'.format(name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for name, value in labels.items()
    )
    return "{" + ",".join(pairs) + "}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
