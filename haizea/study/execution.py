"""Executors of runs behind one interface: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from haizea.study.directory import Failure
from haizea.study.expansion import Run

#: A run that takes its worker with it so often is to blame itself.
MOST_ATTEMPTS = 3

#: So much of the output of a run that fails is kept.
MOST_OUTPUT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over: the seconds that it took, and why it failed, if it did."""

    run: Run
    seconds: float
    failure: Failure | None = None


class Executor(Protocol):
    """Makes runs, several at a time, and keeps what comes of them in the study's directory."""

    @property
    def workers(self) -> int:
        """The number of runs that are made at the same time, as far as it is known."""

    def carry_out(self, runs: Sequence[Run]) -> Iterator[Done]:
        """Make the runs, and tell of each when it is over, in whatever order they end.

        A worker that ends amid a run is replaced, and the run made again, at most
        :data:`MOST_ATTEMPTS` times. Closing the iterator ends the workers.
        """


def failure_of(error: BaseException, output: str = "") -> Failure:
    """The failure that an exception stands for, with its traceback below what was printed."""
    trace = "".join(traceback.format_exception(error))
    said = str(error) or type(error).__name__
    return Failure(said, f"{output}{trace}"[-MOST_OUTPUT_CHARACTERS:])


def lost_worker(how: str) -> Failure:
    """The failure of a run that took its workers with it."""
    what = f"its worker ended {MOST_ATTEMPTS} times before the run did ({how})"
    return Failure(f"{what}; is there too little memory?", "")
