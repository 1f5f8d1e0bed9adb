"""The picture: accuracy against the answers that are paid for, a field for each crowd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.label.figures import Spread

WIDTH, TOP, COLUMNS = 960, 112, 2
FIELD_WIDTH, FIELD_HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 480, 300, 58, 20, 30, 46
LEAST, MOST = 2.0, 9.0
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
  .end { text-anchor: end } .middle { text-anchor: middle } .page { fill: #ffffff } .grid { stroke: #d1d9e0 }
  polyline { fill: none; stroke-width: 2 }
  .fixed { stroke: #59636e } .dynamic { stroke: #bc4c00 } .known { stroke: #8250df; stroke-dasharray: 6 4 }
  .until { stroke: #0969da } circle.fixed { fill: #59636e } circle.dynamic { fill: #bc4c00 }
  circle.known { fill: #8250df; stroke-dasharray: none } circle.until { fill: #0969da }
  .range { stroke-dasharray: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .grid { stroke: #3d444d }
    .fixed { stroke: #9198a1 } .dynamic { stroke: #f0883e } .known { stroke: #bc8cff }
    .until { stroke: #58a6ff } circle.fixed { fill: #9198a1 } circle.dynamic { fill: #f0883e }
    circle.known { fill: #bc8cff } circle.until { fill: #58a6ff }
  }
"""


@dataclass(frozen=True)
class Point:
    """
    A setting of a strategy with one crowd, over all seeds.

    :param text: What stands at the point; nothing if it is empty.
    """

    answers: Spread
    accuracy: Spread
    text: str = ""


def draw(fields: Mapping[str, Mapping[str, Sequence[Point]]], legend: Mapping[str, str], title: str) -> Iterator[str]:
    """
    Yield the lines of an SVG picture; the same figures give the same text.

    :param fields: Of each crowd: the points of each kind of strategy.
    :param legend: What each kind is.
    """
    rows = -(-len(fields) // COLUMNS)
    height = TOP + rows * FIELD_HEIGHT
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>'
    yield _text(16, 30, title, "title")
    for i, (kind, text) in enumerate(legend.items()):
        x, y = 16 + i % COLUMNS * FIELD_WIDTH, 56 + i // COLUMNS * 22
        yield f'<polyline class="{kind}" points="{x},{y - 4} {x + 34},{y - 4}"/>'
        yield f'<circle class="{kind}" cx="{x + 17}" cy="{y - 4}" r="4"/>'
        yield _text(x + 44, y, text, "small")
    for i, (name, kinds) in enumerate(fields.items()):
        yield from _field(i % COLUMNS * FIELD_WIDTH, TOP + i // COLUMNS * FIELD_HEIGHT, name, kinds)
    yield "</svg>"


def _field(left: float, top: float, name: str, kinds: Mapping[str, Sequence[Point]]) -> Iterator[str]:
    lowest = min(point.accuracy.low for points in kinds.values() for point in points)
    step = 0.01 if lowest > 0.94 else 0.02 if lowest > 0.88 else 0.05
    floor = int(lowest / step) * step
    begin, end, base, ceiling = left + LEFT, left + FIELD_WIDTH - RIGHT, top + FIELD_HEIGHT - BELOW, top + ABOVE

    def place(answers: float, accuracy: float) -> tuple[float, float]:
        x = begin + (answers - LEAST) / (MOST - LEAST) * (end - begin)
        return x, base - (accuracy - floor) / (1 - floor) * (base - ceiling)

    yield _text(begin, top + 16, name, "name")
    for i in range(round((1 - floor) / step) + 1):
        y = place(LEAST, floor + i * step)[1]
        yield f'<line class="grid" x1="{begin:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}"/>'
        yield _text(begin - 8, y + 4, f"{floor + i * step:.0%}", "small end")
    for answers in range(int(LEAST), int(MOST) + 1):
        yield _text(place(answers, floor)[0], base + 18, str(answers), "small middle")
    yield _text((begin + end) / 2, base + 36, "answers paid for, per task", "small middle")
    for kind, points in kinds.items():
        places = [place(point.answers.median, point.accuracy.median) for point in points]
        yield f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        for point, (x, y) in zip(points, places, strict=True):
            low, high = place(0, point.accuracy.low)[1], place(0, point.accuracy.high)[1]
            yield f'<line class="{kind} range" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>'
            yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            if point.text:
                yield _text(x + 8, y + 16, point.text, "small")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
