"""Results of a study as data frames (pandas), for notebooks and for the report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from haizea.study.directory import (
    LEASES_TABLE,
    LEVELS_TABLE,
    RUNS_TABLE,
    StudyDirectory,
    StudyError,
)
from haizea.study.tables import OWN_COLUMNS, factor_column

#: Rows of leases that are read at a time.
_BATCH_ROWS = 200_000


@dataclass(frozen=True, repr=False)
class Frames:
    """A study's results. ``runs`` has a row for each run: its factors' values and its figures.

    ``factors`` are the columns of ``runs`` that are factors, each with its values in the order
    of the study; numbers are numbers, and a column of them is one. ``baseline`` are the values
    of what others are compared with.
    """

    path: Path
    name: str
    runs: pd.DataFrame
    factors: Mapping[str, list[Any]]
    baseline: Mapping[str, Any]
    report: Mapping[str, Any]

    def __repr__(self) -> str:
        """Return a line a factor: a notebook prints what is the last value of a cell."""
        lines = [f"{self.name}: {len(self.runs)} runs, {len(self.figures)} figures of each"]
        for factor, values in self.factors.items():
            lines.append(f"  {factor}: {', '.join(map(str, values))}")
        return "\n".join(lines)

    def leases(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All leases of all runs, ``run`` telling whose. They may be many: choose columns."""
        return pq.read_table(self.path / LEASES_TABLE, columns=_with_run(columns)).to_pandas()

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The same in parts, for those who cannot have them all at once."""
        with pq.ParquetFile(self.path / LEASES_TABLE) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=_with_run(columns)):
                yield batch.to_pandas()

    def levels(self) -> pd.DataFrame:
        """CPU utilization (0 to 1) and length of the queue over time, by run."""
        return pq.read_table(self.path / LEVELS_TABLE).to_pandas()

    @property
    def figures(self) -> list[str]:
        """The names of the columns of ``runs`` that are figures."""
        return [name for name in self.runs.columns if name not in {*self.factors, *OWN_COLUMNS}]


def read_frames(directory: str | os.PathLike[str]) -> Frames:
    """Read the results of the study in a directory. Raises :class:`StudyError`."""
    path = Path(directory)
    told = StudyDirectory(path).description()
    try:
        runs = pq.read_table(path / RUNS_TABLE).to_pandas()
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{path}: the table of runs cannot be read ({error}); 'haizea study run' writes it anew"
        ) from None
    figures = [name for name in runs.columns if runs[name].dtype == "float64"]
    factors: dict[str, list[Any]] = {}
    baseline: dict[str, Any] = {}
    for name, texts in told["factors"].items():
        column = factor_column(name, figures)
        values = _numbers(texts)
        known = dict(zip(texts, values, strict=True))
        runs[column] = runs[column].map(known)
        factors[column] = [value for value in values if value != ""]
        if name in told["baseline"]:
            baseline[column] = known.get(told["baseline"][name], told["baseline"][name])
    return Frames(path, told["name"], runs, factors, baseline, told["report"])


def _with_run(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else ["run", *(name for name in columns if name != "run")]


def _numbers(texts: Sequence[str]) -> list[Any]:
    """Numbers, if all are; else the texts."""
    try:
        numbers = [float(text) if text else "" for text in texts]
    except ValueError:
        return list(texts)
    return [int(n) if isinstance(n, float) and n.is_integer() else n for n in numbers]
