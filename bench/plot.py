"""Pictures of the figures, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

INK, GRID, BAR, MARK, DOT = "#24292f", "#d0d7de", "#4c78a8", "#d1495b", "#6a994e"
#: What a number takes inside a bar, in pixels.
_ROOM = 48
#: Marks of lines of the same colour.
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
LINES = ("#4c78a8", "#d1495b", "#6a994e", "#8d6cab", "#c98a1b", "#3f9c9c")


def speeds(cases: Sequence[Mapping[str, Any]], targets: Mapping[str, float]) -> str:
    """Leases per CPU second of each case, on a logarithmic scale.

    A bar is Haizea, a line across it the target, a dot the yardstick's simulation alone.
    """
    left, right, row, top = 200, 760, 26, 40
    bottom = top + row * len(cases)
    low, high = 2.0, 6.0

    def x(value: float) -> float:
        return left + (right - left) * (min(max(math.log10(value), low), high) - low) / (high - low)

    body = []
    for power in range(int(low), int(high) + 1):
        at = x(10**power)
        body.append(_line(at, top - 4, at, bottom, GRID))
        body.append(_text(at, top - 10, f"{10**power:,}", "middle"))
    for i, case in enumerate(cases):
        y = top + row * i + 4
        speed = case["leases_per_second"]
        body.append(_text(left - 8, y + 13, case["name"], "end"))
        body.append(
            f'<rect x="{left}" y="{y}" width="{x(speed) - left:.1f}" height="18" fill="{BAR}">'
            f"<title>{speed:,.0f} leases per CPU second</title></rect>"
        )
        inside = x(speed) - left > _ROOM
        at, ink = (left, "#ffffff") if inside else (x(speed), INK)
        body.append(_text(at + 6, y + 13, f"{speed:,.0f}", "start", ink))
        if case["name"] in targets:
            at = x(targets[case["name"]])
            body.append(_line(at, y - 3, at, y + 21, MARK, 2))
        if case["yardstick"]:
            jobs = case["leases"] / case["yardstick"]["simulation_seconds"]
            body.append(f'<circle cx="{x(jobs):.1f}" cy="{y + 9}" r="4" fill="{DOT}"/>')
    note = "bar: Haizea, whole process; red line: target; green dot: the yardstick, counting only"
    body.append(_text(left, bottom + 18, note, "start"))
    return _svg(right + 40, bottom + 30, "Leases per CPU second", body)


def growth(axes: Iterable[Mapping[str, Any]]) -> str:
    """Return how CPU time grows with what grows, both relative to the smallest case."""
    left, right, top, bottom, decades, below = 60, 520, 20, 400, 2.2, 0.5

    def at(growth_x: float, growth_y: float) -> tuple[float, float]:
        return (
            left + (right - left) * math.log10(growth_x) / decades,
            bottom - (bottom - top) * (below + math.log10(growth_y)) / (below + decades),
        )

    body = []
    for power in range(int(decades) + 1):
        x, y = at(10**power, 10**power)
        body += [_line(x, top, x, bottom, GRID), _line(left, y, right, y, GRID)]
        body.append(_text(x, bottom + 18, f"× {10**power}", "middle"))
        body.append(_text(left - 6, y + 4, f"× {10**power}", "end"))
    edge = at(10**decades, 10**decades)
    body.append(_line(*at(1, 1), *edge, INK, 1, "4 4"))
    body.append(_text(edge[0] - 40, edge[1] + 16, "in proportion", "end"))
    shown = [axis for axis in axes if len(axis["points"]) > 1]
    for i, axis in enumerate(shown):
        first = axis["points"][0]
        points = [
            at(p["amount"] / first["amount"], max(p["cpu_seconds"] / first["cpu_seconds"], 0.4))
            for p in axis["points"]
        ]
        words = f"{axis['title']} ({axis['exponent']:.2f})"
        body += _line_of_points(i, points, right + 20, top + 20 + 22 * i, words)
    body.append(_text((left + right) / 2, bottom + 38, "as much of it", "middle"))
    body.append(_text(left, top - 6, "CPU time", "start"))
    height = max(bottom + 50, top + 20 + 22 * len(shown))
    return _svg(right + 640, height, "Growth of CPU time", body)


def _line_of_points(
    number: int, points: Sequence[tuple[float, float]], x: float, y: float, words: str
) -> list[str]:
    """Return a line through these points, and what it is, with a piece of it, beside."""
    colour = LINES[number % len(LINES)]
    dashes = _DASHES[number // len(LINES) % len(_DASHES)]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    stroke = f'stroke="{colour}" stroke-width="2"' + (
        f' stroke-dasharray="{dashes}"' if dashes else ""
    )
    return [
        f'<polyline points="{path}" fill="none" {stroke}/>',
        *[f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}"/>' for px, py in points],
        _line(x, y - 4, x + 24, y - 4, colour, 2, dashes),
        _text(x + 32, y, words, "start"),
    ]


def _svg(width: float, height: float, title: str, body: Iterable[str]) -> str:
    lines = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" font-family="sans-serif" font-size="12">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{lines}\n</svg>\n'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1, dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}" stroke-width="{width}"{dashed}/>'
    )


def _text(x: float, y: float, words: str, anchor: str, colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(words)}</text>"
    )
