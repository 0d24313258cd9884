"""Durations and moments as people write them, to whole seconds and back."""

from haizea.times.durations import parse_duration, parse_lease_duration, shown
from haizea.times.moments import parse_time
from haizea.times.told import format_time, format_utc

__all__ = [
    "format_time",
    "format_utc",
    "parse_duration",
    "parse_lease_duration",
    "parse_time",
    "shown",
]
