"""The tables of a study, in Parquet: one row a run, one a lease, one a moment.

They are written run by run, so memory does not grow with their number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from haizea.study.directory import LEASES_TABLE, LEVELS_TABLE, RUNS_TABLE, StudyDirectory
from haizea.study.expansion import Run
from haizea.study.perform import LEASES

#: Rows are gathered into groups of about this size, which readers handle one at a time.
_GROUP_ROWS = 100_000
_GROUP_RUNS = 2_000
_GROUP_TABLES = 500

_LEVELS = pa.schema(
    [
        ("run", pa.int32()),
        ("part", pa.int32()),
        ("seconds", pa.float64()),
        ("utilization", pa.float64()),
        ("queue", pa.float64()),
    ]
)

#: The columns of the table of runs that are no factors and no figures.
OWN_COLUMNS = ("run", "digest", "status")


def write_tables(directory: StudyDirectory, runs: Sequence[Run]) -> None:
    """Write all tables anew. The same finished runs give the same bytes."""
    _write_runs(directory, runs)
    _write_leases(directory, runs)
    _write_levels(directory, runs)


def factor_column(name: str, figures: Sequence[str]) -> str:
    """The column of a factor, which may be called as a figure is, or a column of ours."""
    return f"factor.{name}" if name in figures or name in OWN_COLUMNS else name


def _write_runs(directory: StudyDirectory, runs: Sequence[Run]) -> None:
    names = _figure_names(directory, runs)
    factors = list(dict.fromkeys(name for run in runs for name, _ in run.values))
    schema = pa.schema(
        [
            ("run", pa.int32()),
            ("digest", pa.string()),
            ("status", pa.string()),
            *((factor_column(name, names), pa.string()) for name in factors),
            *((name, pa.float64()) for name in names),
        ]
    )
    with _writer(directory.path / RUNS_TABLE, schema) as writer:
        for start in range(0, len(runs), _GROUP_RUNS):
            rows = [
                _row(directory, run, factors, names) for run in runs[start : start + _GROUP_RUNS]
            ]
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _figure_names(directory: StudyDirectory, runs: Sequence[Run]) -> list[str]:
    names: set[str] = set()
    for run in runs:
        if told := directory.finished(run.digest):
            names |= told["figures"].keys()
    return sorted(names)


def _row(
    directory: StudyDirectory, run: Run, factors: Sequence[str], names: Sequence[str]
) -> list[Any]:
    told = directory.finished(run.digest)
    figures = {} if told is None else told["figures"]
    if told is not None:
        status = "complete"
    else:
        status = "missing" if directory.failure(run.digest) is None else "failed"
    values = dict(run.values)
    return [
        run.number,
        run.digest,
        status,
        *(values.get(name) for name in factors),
        *(figures.get(name) for name in names),
    ]


def _write_leases(directory: StudyDirectory, runs: Sequence[Run]) -> None:
    schema = pa.schema([("run", pa.int32()), *LEASES])
    with _writer(directory.path / LEASES_TABLE, schema) as writer:
        gathered: list[Any] = []
        rows = 0
        for run in runs:
            if directory.finished(run.digest) is None:
                continue
            table = pq.read_table(directory.file(run.digest, "leases"))
            numbers = pa.array([run.number] * table.num_rows, type=pa.int32())
            gathered.append(table.add_column(0, schema.field("run"), numbers))
            rows += table.num_rows
            # Many small tables take more memory than one with their rows.
            if rows >= _GROUP_ROWS or len(gathered) >= _GROUP_TABLES:
                writer.write_table(pa.concat_tables(gathered))
                gathered.clear()
                rows = 0
        if gathered:
            writer.write_table(pa.concat_tables(gathered))


def _write_levels(directory: StudyDirectory, runs: Sequence[Run]) -> None:
    with _writer(directory.path / LEVELS_TABLE, _LEVELS) as writer:
        columns: list[list[Any]] = [[] for _ in _LEVELS]
        for run in runs:
            told = directory.finished(run.digest)
            if told is None:
                continue
            levels = told["levels"]
            count = max(len(levels["utilization"]), len(levels["queue"]))
            columns[0] += [run.number] * count
            columns[1] += range(count)
            columns[2] += [levels["part_seconds"] * (part + 0.5) for part in range(count)]
            columns[3] += levels["utilization"] or [None] * count
            columns[4] += levels["queue"] or [None] * count
            if len(columns[0]) >= _GROUP_ROWS:
                writer.write_table(_levels_of(columns))
                columns = [[] for _ in _LEVELS]
        writer.write_table(_levels_of(columns))


def _levels_of(columns: list[list[Any]]) -> Any:
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, _LEVELS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_LEVELS)


@contextmanager
def _writer(path: Path, schema: Any) -> Iterator[Any]:
    """A table that appears when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
