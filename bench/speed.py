"""The speed of this machine, beside that of the one on which the targets were set.

Both run the same yardstick on the same jobs: EASY that only counts, on ``blue-60``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

#: What its simulation took where the targets were set, as medians of processor time.
_THERE_SECONDS: Final = 0.0279
_CASE: Final = "blue-60"
#: How a figure changes with the speed of the machine; the others do not.
_POWERS: Final = {"leases_per_second": 1, "cpu_seconds": -1, "decision_ms": -1}


def times_as_long(cases: Iterable[Mapping[str, Any]]) -> float | None:
    """Return how many times as long this machine takes; ``None`` where that was not measured."""
    for case in cases:
        if case["name"] == _CASE and case["yardstick"] is not None:
            return float(case["yardstick"]["simulation_seconds"]) / _THERE_SECONDS
    return None


def there(figure: str, value: float, times: float) -> float | None:
    """Return what a figure would be on the other machine; ``None`` if it would be the same."""
    power = _POWERS.get(figure)
    return None if power is None else value * times**power


def sentence(times: float | None) -> str:
    """Return a paragraph on it, or nothing where it is not known."""
    if times is None:
        return ""
    return (
        f"The yardstick that only counts takes {times:.1f} times as long on this machine as on\n"
        "the one on which the targets were set. What would be measured there, were all else as\n"
        "much faster, stands in the column *there*.\n"
    )
