"""A progress bar for a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

from haizea.core.model.turn import Turn
from haizea.loop import Tally
from haizea.times import format_utc

_SECONDS_BETWEEN_UPDATES = 0.1
_SECONDS_BEFORE_A_GUESS = 0.5
_LEAST_BAR_COLUMNS = 10
_MOST_BAR_COLUMNS = 40


class _Line:
    """The line of a terminal that a bar is drawn on, over what was drawn before."""

    def __init__(self, stream: TextIO, columns: Callable[[], int] | None = None) -> None:
        self._stream = stream
        self._columns = columns or (lambda: _columns_of(stream))
        self._drawn = 0

    @property
    def columns(self) -> int:
        """The columns that a bar may take."""
        return self._columns() - 1

    def draw(self, line: str) -> None:
        """Draw this in the place of what is there."""
        self._stream.write("\r" + line + " " * (self._drawn - len(line)))
        self._stream.flush()
        self._drawn = len(line)

    def erase(self) -> None:
        """Leave the line empty."""
        self.draw("")
        self._stream.write("\r")
        self._stream.flush()


def _bar(share: float, text: str, columns: int) -> str | None:
    """A bar with a text behind it, in at most ``columns``; ``None`` where there is no room."""
    room = min(columns - len(text) - 3, _MOST_BAR_COLUMNS)
    if room < _LEAST_BAR_COLUMNS:
        return None
    full = int(share * room)
    return f"[{'#' * full}{'.' * (room - full)}] {text}"


class ProgressBar:
    """An observer that shows on a terminal how far a run is.

    Being submitted counts for half of a lease, being finished for the other half. The bar
    is redrawn at most ten times a second and fits the terminal's width, however narrow.
    """

    def __init__(
        self,
        stream: TextIO,
        tally: Tally,
        total: int,
        *,
        columns: Callable[[], int] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = _Line(stream, columns)
        self._tally = tally
        self._total = total
        self._seconds = seconds
        self._began = seconds()
        self._next = self._began

    def note(self, turn: Turn) -> None:
        """Redraw the bar if it is time to."""
        seconds = self._seconds()
        if seconds >= self._next:
            self._next = seconds + _SECONDS_BETWEEN_UPDATES
            self._line.draw(self.line(turn.now, seconds - self._began, self._line.columns))

    def line(self, now: int, elapsed_seconds: float, columns: int) -> str:
        """The bar after ``elapsed_seconds``, in at most ``columns`` characters.

        ``now`` is the time of the run's clock. What does not fit is left out, the least
        important first.
        """
        tally = self._tally
        share = (tally.submitted + tally.finished) / (2 * self._total) if self._total else 1.0
        rate = tally.finished / elapsed_seconds if elapsed_seconds > 0 else 0.0
        left = ""
        if share > 0 and elapsed_seconds >= _SECONDS_BEFORE_A_GUESS:
            left = f"{_clock(elapsed_seconds * (1 - share) / share)} left"
        percent = f"{int(share * 100):3}%"
        details = [
            f"{tally.finished}/{self._total} leases",
            left,
            f"{rate:.0f}/s",
            format_utc(now),
        ]
        text = percent
        for detail in filter(None, details):
            longer = f"{text}  {detail}"
            if len(longer) + _LEAST_BAR_COLUMNS + 3 > columns:
                break
            text = longer
        return _bar(share, text, columns) or percent[: max(columns, 0)]

    def erase(self) -> None:
        """Leave the terminal's line empty."""
        self._line.erase()


def _columns_of(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal that knows its width
        return 80


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds + 0.5), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m:02}:{s:02}"


class RunsBar:
    """Shows on a terminal how far a study is, and how long the rest will take.

    The guess is by the time that passed since the first run was begun, so it knows how many
    go at the same time.
    """

    def __init__(self, stream: TextIO) -> None:
        self._line = _Line(stream)
        self._began = time.monotonic()

    def tell(self, over: int, total: int, failed: int, _: float) -> None:
        """Draw the bar when ``over`` of ``total`` runs are over, ``failed`` of them in vain."""
        elapsed_seconds = time.monotonic() - self._began
        self._line.draw(self.line(over, total, failed, elapsed_seconds, self._line.columns))

    def line(self, over: int, total: int, failed: int, elapsed_seconds: float, columns: int) -> str:
        """The bar, in at most ``columns`` characters; what does not fit is left out."""
        share = over / total if total else 1.0
        text = f"{over}/{total} runs"
        if over:
            text += f"  {_clock(elapsed_seconds * (1 - share) / share)} left"
        if failed:
            text += f"  {failed} failed"
        return _bar(share, text, columns) or text[: max(columns, 0)]

    def erase(self) -> None:
        """Leave the terminal's line empty."""
        self._line.erase()
