"""The picture of a rehearsal: a strip for each figure, a dot for each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.rehearsal.results import Rehearsal, Row, Spread, rows

WIDTH, LEFT, LONG, TOP, STRIP = 960, 250, 480, 66, 58
RADIUS, SLOTS = 4.5, 48
# As many letters as there is room for.
NAME = 30
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
  .end { text-anchor: end } .page { fill: #ffffff } .line { stroke: #d1d9e0 }
  .median { stroke: #0969da; stroke-width: 2 } .value { fill: #0969da; font-weight: 600 }
  circle { fill: #0969da; fill-opacity: .5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .line { stroke: #3d444d }
    .median { stroke: #58a6ff } .value { fill: #58a6ff } circle { fill: #58a6ff; fill-opacity: .7 }
  }
"""


def draw(rehearsal: Rehearsal, title: str) -> Iterator[str]:
    """
    Yield the lines of an SVG picture; the same rehearsal gives the same text.

    :param title: What was rehearsed.
    """
    strips = [(row, row.spread) for row in rows(rehearsal) if row.spread is not None]
    height = TOP + STRIP * len(strips) + (24 if rehearsal.incomplete else 0)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>'
    yield _text(16, 30, title, "title")
    legend = (
        f"Each dot is one of {counted(len(rehearsal.runs), 'run')}; the mark "
        "is their median, which stands beside the range"
    )
    yield _text(16, 52, legend, "small")
    for i, (row, spread) in enumerate(strips):
        yield from _strip(row, spread, TOP + STRIP * i)
    if rehearsal.incomplete:
        yield _text(16, height - 14, rehearsal.incomplete, "small")
    yield "</svg>"


def _strip(row: Row, spread: Spread[Any], top: float) -> Iterator[str]:
    base = top + STRIP - 20
    low, high = float(spread.low), float(spread.high)

    def share(value: float) -> float:
        return (value - low) / (high - low) if high > low else 0.5

    yield _text(16, base + 4, row.name if len(row.name) <= NAME else f"{row.name[: NAME - 1]}…", "name")
    yield f'<line class="line" x1="{LEFT}" y1="{base:.1f}" x2="{LEFT + LONG}" y2="{base:.1f}"/>'
    slots = Counter(round(share(value) * SLOTS) for value in (row.values if high > low else (low,)))
    # Those in one place stand on each other, the closer the more they are.
    step = min(2 * RADIUS, (STRIP - 26 - RADIUS) / max(slots.values()))
    for slot, count in sorted(slots.items()):
        x = LEFT + slot * LONG / SLOTS
        yield from (f'<circle cx="{x:.1f}" cy="{base - RADIUS - i * step:.1f}" r="{RADIUS}"/>' for i in range(count))
    x = LEFT + LONG * share(float(spread.median))
    yield f'<line class="median" x1="{x:.1f}" y1="{base - 3:.1f}" x2="{x:.1f}" y2="{base + 9:.1f}"/>'
    yield _text(LEFT + LONG + 24, base + 4, row.median, "value")
    yield _text(WIDTH - 16, base + 4, row.range if low < high else "in all runs", "small end")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
