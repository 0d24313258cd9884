"""Findings of the checker."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """A rule of the schedule; the value is the name that users see."""

    CAPACITY = "capacity"
    HOSTS = "hosts"
    MAINTENANCE = "maintenance"
    AR = "ar"
    IMMEDIATE = "immediate"
    DEADLINE = "deadline"
    CHANGE = "change"
    QUEUE = "queue"
    GANG = "gang"
    PREEMPTION = "preemption"
    HOLES = "holes"
    THRESHOLD = "threshold"
    MIGRATION = "migration"
    EARLY_ENDS = "early-ends"
    NO_LOSS = "no-loss"
    OPERATIONS = "operations"
    PREPARATION = "preparation"
    LIFE_CYCLE = "life-cycle"


class Violation(NamedTuple):
    """One rule that does not hold, where and when.

    ``lease``, ``host`` (its id) and ``time`` (seconds since the epoch) are ``None`` where
    the violation has none; ``message`` says what is wrong, for people.
    """

    rule: Rule
    lease: int | None
    host: int | None
    time: int | None
    message: str
