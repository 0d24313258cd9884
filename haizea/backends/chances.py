"""Descriptions of what goes wrong by chance, for the results of a run."""

from __future__ import annotations

from collections.abc import Mapping

from haizea.core.model.events import Purpose


def describe_chances(
    seed: int, failures: Mapping[Purpose, float], delays: Mapping[Purpose, float]
) -> str:
    """The chances that operations fail or take longer, with the seed; empty if there are none."""
    chances = [
        f"{what} of {purpose.value} {probability:g}"
        for what, table in (("failure", failures), ("delay", delays))
        for purpose, probability in sorted(table.items())
        if probability
    ]
    return f"seed {seed}: {', '.join(chances)}" if chances else ""
