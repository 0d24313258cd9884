"""A picture of a schedule: hosts by time, as SVG.

Bars are reservations: runs in the colour of the lease's kind, lighter and darker in turn
by lease number so that neighbours can be told apart, other purposes each in a colour of
its own. The colours are those of Okabe and Ito (2008), which people with any colour
vision tell apart. Every bar has its details as a tooltip. Leases that share a host lie
in lanes above each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from haizea.accounting.errors import ResultsError
from haizea.accounting.reader import Results
from haizea.times import format_utc

#: What a bar shows: its colours, taken in turn by lease number, and its words.
_COLOURS = {
    "ar": (("#0072B2", "#2E8FC7"), "AR"),
    "best-effort": (("#009E73", "#4DBB9D"), "best-effort lease"),
    "immediate": (("#E69F00", "#EDB740"), "immediate lease"),
    "suspend": (("#CC79A7",), "suspending"),
    "resume": (("#F0E442",), "resuming"),
    "migrate": (("#D55E00",), "migrating"),
    "transfer": (("#56B4E9",), "image transfer"),
    "prepare": (("#A8D5F2",), "starting VMs"),
    "shutdown": (("#7F7F7F",), "shutting down"),
    "outage": (("#222222",), "outage"),
}
#: On these, words are white.
_DARK = {"#0072B2"}

_WIDTH = 1000
_TOP = 48
_AXIS = 40
_LEGEND = 30
_CHARACTER = 6.2
_LONGEST_NAME = 18

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = [
    *(1, 5, 10, 30),
    *(m * _MINUTE for m in (1, 5, 10, 15, 30)),
    *(h * _HOUR for h in (1, 2, 3, 6, 12)),
    *(d * _DAY for d in (1, 2, 3, 5, 7, 14, 30, 90, 365)),
]
_MOST_TICKS = 12

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Bar(NamedTuple):
    """A reservation on the hosts in rows ``[row, last]``, in one of the lanes of the row."""

    lease: int | None
    purpose: str
    start: int
    end: int
    row: int
    last: int
    lane: int
    lanes: int


def gantt(results: Results, start: int | None = None, end: int | None = None) -> str:
    """The schedule of a run between two moments (all of it if they are not given), as SVG.

    Raises :class:`haizea.accounting.errors.ResultsError` where that is no time at all.
    """
    start = int(results.run["started"]) if start is None else start
    end = int(results.run["ended"]) if end is None else end
    if end <= start:
        raise ResultsError(
            f"{results.path}: there is nothing to draw: the time from {format_utc(start)} to"
            f" {format_utc(end)} is empty"
        )
    hosts = [
        (row[0], str(row[1])) for row in results.rows("SELECT id, name FROM hosts ORDER BY id")
    ]
    kinds = {row[0]: str(row[1]) for row in results.rows("SELECT lease, kind FROM leases")}
    rows = {host: i for i, (host, _) in enumerate(hosts)}
    bars = _merged(_in_lanes(results, rows, start, end))
    picture = _Picture([name for _, name in hosts], start, end)
    title = f"{results.run.get('workload') or 'Schedule'}, {format_utc(start)} to {format_utc(end)}"
    shown = [(_key(bar, kinds), bar) for bar in bars]
    present = [key for key in _COLOURS if any(key == found for found, _ in shown)]
    return "".join(
        [
            picture.head(title),
            picture.grid(),
            *(picture.bar(key, bar) for key, bar in shown),
            picture.legend(present),
            "</svg>\n",
        ]
    )


def _key(bar: _Bar, kinds: Mapping[int, str]) -> str:
    if bar.purpose == "run" and bar.lease is not None:
        return kinds.get(bar.lease, "best-effort")
    return bar.purpose if bar.purpose in _COLOURS else "shutdown"


def _in_lanes(
    results: Results, rows: Mapping[int, int], start: int, end: int
) -> dict[int, list[_Bar]]:
    """The bars of each row: each in the lowest lane that is free at its start."""
    found: dict[int, list[_Bar]] = {row: [] for row in rows.values()}
    busy: dict[int, list[int]] = {row: [] for row in rows.values()}
    reservations = results.rows(
        "SELECT lease, purpose, host, start, end FROM reservations"
        " WHERE start < ? AND end > ? ORDER BY host, start, lease, end",
        [end, start],
    )
    for lease, purpose, host, begins, ends in reservations:
        row = rows.get(host)
        if row is None:
            continue
        lanes = busy[row]
        lane = next((i for i, until in enumerate(lanes) if until <= begins), len(lanes))
        lanes[lane : lane + 1] = [ends]
        found[row].append(
            _Bar(lease, purpose, max(begins, start), min(ends, end), row, row, lane, 0)
        )
    return {
        row: [bar._replace(lanes=len(busy[row])) for bar in bars] for row, bars in found.items()
    }


def _merged(by_row: Mapping[int, Sequence[_Bar]]) -> list[_Bar]:
    """Equal bars of neighbouring rows without lanes become one: a picture has to stay small."""
    done: list[_Bar] = []
    open_: dict[tuple[object, ...], _Bar] = {}
    for row in sorted(by_row):
        still: dict[tuple[object, ...], _Bar] = {}
        for bar in by_row[row]:
            if bar.lanes > 1:
                done.append(bar)
                continue
            key = bar[:4]
            above = open_.pop(key, bar)
            still[key] = above._replace(last=row)
        done.extend(open_.values())
        open_ = still
    done.extend(open_.values())
    return done


class _Picture:
    """The position of everything, in pixels."""

    def __init__(self, hosts: Sequence[str], start: int, end: int) -> None:
        self.hosts = [_short(name) for name in hosts]
        self.start = start
        self.end = end
        self.left = 16 + _CHARACTER * max((len(name) for name in self.hosts), default=4)
        self.right = _WIDTH - 36
        self.row_height = min(26.0, max(4.0, 720 / max(1, len(hosts))))
        self.bottom = _TOP + self.row_height * len(hosts)
        self.height = self.bottom + _AXIS + _LEGEND

    def head(self, title: str) -> str:
        text = _text(title)
        size = f'width="{_WIDTH}" height="{_n(self.height)}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
            f' viewBox="0 0 {_WIDTH} {_n(self.height)}" role="img" aria-label="{text}"'
            ' font-family="Helvetica, Arial, sans-serif" font-size="11">\n'
            f"<title>{text}</title>\n"
            f'<rect width="{_WIDTH}" height="{_n(self.height)}" fill="#ffffff"/>\n'
            f'<text x="{_n(self.left)}" y="26" font-size="15" fill="#222222">{text}</text>\n'
        )

    def bar(self, key: str, bar: _Bar) -> str:
        colours, words = _COLOURS[key]
        colour = colours[(bar.lease or 0) % len(colours)]
        x, right = self._x(bar.start), self._x(bar.end)
        lane_height = self.row_height / bar.lanes
        y = _TOP + self.row_height * bar.row + lane_height * bar.lane
        height = self.row_height * (bar.last - bar.row) + lane_height
        who = words if bar.lease is None else f"{words} {bar.lease}"
        if bar.purpose != "run" and bar.lease is not None:
            who = f"lease {bar.lease}: {words}"
        tip = f"{who}, {format_utc(bar.start)} to {format_utc(bar.end)}"
        shape = (
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(right - x, 0.3))}"'
            f' height="{_n(height)}" fill="{colour}" stroke="#ffffff" stroke-width="0.5">'
            f"<title>{tip}</title></rect>\n"
        )
        label = "" if bar.lease is None else str(bar.lease)
        if bar.purpose != "run" or right - x < _CHARACTER * len(label) + 6 or height < 11:
            return shape
        ink = "#ffffff" if colour in _DARK else "#222222"
        return shape + (
            f'<text x="{_n((x + right) / 2)}" y="{_n(y + height / 2 + 4)}" fill="{ink}"'
            f' text-anchor="middle">{label}</text>\n'
        )

    def grid(self) -> str:
        """The names of the hosts, the lines between them, and the axis of time."""
        out = []
        every = max(1, -(-11 // int(self.row_height)))
        for i, name in enumerate(self.hosts):
            if i % every == 0:
                y = _TOP + self.row_height * (i + 0.5) + 4
                out.append(
                    f'<text x="{_n(self.left - 6)}" y="{_n(y)}" fill="#444444"'
                    f' text-anchor="end">{_text(name)}</text>\n'
                )
        if self.row_height >= 10:
            out += [
                self._line(self.left, y, self.right, y)
                for y in (_TOP + self.row_height * i for i in range(len(self.hosts) + 1))
            ]
        day = ""
        for tick in _ticks(self.start, self.end):
            x = self._x(tick)
            date, clock = format_utc(tick).split(" ")
            out.append(self._line(x, _TOP, x, self.bottom + 4))
            out.append(self._axis_text(x, 17, clock[: 8 if tick % _MINUTE else 5]))
            if date != day:
                out.append(self._axis_text(x, 31, date))
            day = date
        return "".join(out)

    def legend(self, keys: Sequence[str]) -> str:
        out = []
        x, y = self.left, self.bottom + _AXIS + 10
        for key in keys:
            colours, words = _COLOURS[key]
            out.append(
                f'<rect x="{_n(x)}" y="{_n(y - 9)}" width="11" height="11" fill="{colours[0]}"/>\n'
                f'<text x="{_n(x + 16)}" y="{_n(y)}" fill="#222222">{words}</text>\n'
            )
            x += 16 + _CHARACTER * len(words) + 18
        return "".join(out)

    def _x(self, time: int) -> float:
        share = (time - self.start) / (self.end - self.start)
        return self.left + (self.right - self.left) * share

    def _line(self, x1: float, y1: float, x2: float, y2: float) -> str:
        return (
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
            ' stroke="#000000" stroke-opacity="0.15"/>\n'
        )

    def _axis_text(self, x: float, below: int, text: str) -> str:
        return (
            f'<text x="{_n(x)}" y="{_n(self.bottom + below)}" fill="#444444"'
            f' text-anchor="middle">{text}</text>\n'
        )


def _ticks(start: int, end: int) -> Iterator[int]:
    """Round moments in ``[start, end]``: neither too many nor too few."""
    step = next((s for s in _STEPS if (end - start) / s <= _MOST_TICKS), None)
    if step is None:
        step = -(-(end - start) // (_MOST_TICKS * _DAY)) * _DAY
    yield from range(-(-start // step) * step, end + 1, step)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("?", text), {'"': "&quot;"})


def _n(value: float) -> str:
    """A number without needless digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
