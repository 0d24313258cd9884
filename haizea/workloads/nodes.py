"""Nodes that a workload speaks of: so many, each asking for these amounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Nodes:
    """``count`` equal lease nodes, each asking for these amounts."""

    count: int
    amounts: Amounts
