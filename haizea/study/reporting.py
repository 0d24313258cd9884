"""The report on a study: figures as SVG, PDF and CSV, and one page with all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from haizea.accounting.reader import Results
from haizea.files import write_whole
from haizea.study.charts import charts, complete, view_of
from haizea.study.directory import StudyError
from haizea.study.expansion import Run
from haizea.study.frames import Frames, read_frames
from haizea.study.page import Section, page
from haizea.study.perform import perform
from haizea.study.single import gantt
from haizea.study.style import Chart, csv_of, save


def write_report(kept: Path, runs: Sequence[Run], to: Path) -> list[str]:
    """Write the report on the results in ``kept`` into the directory ``to``.

    ``runs`` are the study's: the Gantt chart's is made once more. Returns the figures' names.
    Raises :class:`StudyError` where no run is finished or the study asks for a figure that
    there is not.
    """
    frames = read_frames(kept)
    if complete(frames).empty:
        raise StudyError(f"{kept}: no run is finished; make some with 'haizea study run'")
    figures = to / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    sections = []
    try:
        for chart in _all(frames, runs):
            svg = save(chart, figures)
            sections.append(
                Section(chart.name, chart.title, chart.alt, chart.note, svg, csv_of(chart.data))
            )
    except ValueError as error:
        raise StudyError(f"{frames.name}: {error}") from error
    write_whole(to / "report.html", [page(frames.name, _facts(frames), sections)])
    return [section.name for section in sections]


def _all(frames: Frames, runs: Sequence[Run]) -> Iterator[Chart]:
    yield from charts(frames)
    run = _to_draw(frames, runs)
    if run is not None:
        with tempfile.TemporaryDirectory() as place:
            outcome = perform(run.recipe, Path(place), lambda file: Path(file.path))
            with Results(outcome.results) as results:
                chart = gantt(results)
        note = f"Run {run.number}: {run.name}. {chart.note}".strip()
        yield Chart(
            chart.name,
            f"Hosts by time, run {run.number}",
            chart.alt,
            chart.data,
            chart.draw,
            chart.height_inches,
            note,
        )


def _to_draw(frames: Frames, runs: Sequence[Run]) -> Run | None:
    """The run to draw: of those finished, the last line's where most is asked for."""
    view = view_of(frames)
    found = complete(frames)
    for name in view.keys:
        known = [value for value in frames.factors[name] if (found[name] == value).any()]
        if known:
            found = found[found[name] == known[-1]]
    by_number = {run.number: run for run in runs}
    return None if found.empty else by_number.get(int(found.iloc[0]["run"]))


def _facts(frames: Frames) -> list[tuple[str, str]]:
    status = frames.runs["status"].value_counts()
    facts = [("runs", ", ".join(f"{count} {name}" for name, count in status.items()))]
    for name, values in frames.factors.items():
        shown = ", ".join(str(value) for value in values[:20])
        facts.append((name, shown + (f" … ({len(values)} values)" if len(values) > 20 else "")))
    return facts
