"""Tests a finished run against the rules of the schedule, by its records alone.

The checker shares no code with the scheduler, so that a mistake of one is not repeated
by the other: life cycle, formulas and rules are written down a second time here. It
tells what the records contradict for certain; what they cannot show is listed in
``docs/checking.md`` and, for one file, in :attr:`Report.notes`.
"""

from __future__ import annotations

from haizea.checker.check import Report, check_file
from haizea.checker.values import DiskFailed, UnreadableResults
from haizea.checker.violation import Rule, Violation

__all__ = [
    "DiskFailed",
    "Report",
    "Rule",
    "UnreadableResults",
    "Violation",
    "check_file",
]
