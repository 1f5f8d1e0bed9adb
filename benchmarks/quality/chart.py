"""The reliability diagrams: how often labels are right, by how sure a method says it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.quality.calibration import Result

SIDE, LEFT, TOP, GAP, BOTTOM = 230, 60, 96, 64, 64
NAMES = {
    "dawid_skene_map": ("dawid_skene_map", "map"),
    "dawid_skene": ("dawid_skene", "plain"),
    "majority_vote": ("majority_vote", "majority"),
}
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
  .end { text-anchor: end } .middle { text-anchor: middle } .page { fill: #ffffff }
  .frame { fill: none; stroke: #d1d9e0 } .right { stroke: #afb8c1; stroke-dasharray: 4 4 }
  polyline { fill: none; stroke-width: 2 }
  .map { stroke: #0969da; fill: #0969da } .plain { stroke: #bc4c00; fill: #bc4c00 }
  .majority { stroke: #6e7781; fill: #6e7781 } polyline.map, polyline.plain, polyline.majority { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .frame { stroke: #3d444d }
    .right { stroke: #6e7681 } .map { stroke: #58a6ff; fill: #58a6ff } .plain { stroke: #f0883e; fill: #f0883e }
    .majority { stroke: #9198a1; fill: #9198a1 }
  }
"""


def draw(results: Sequence[Result], what: str) -> Iterator[str]:
    """Yield the lines of the picture: a diagram for each crowd, with a line for each method."""
    crowds = list(dict.fromkeys(result.crowd for result in results))
    width, height = LEFT + len(crowds) * (SIDE + GAP), TOP + SIDE + BOTTOM
    title = "How often a label is right, by how sure the method says it is"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    yield f"<title>{title}</title><style>{STYLE}</style>"
    yield f'<rect class="page" width="{width}" height="{height}" rx="8"/>'
    yield _text(16, 28, title, "title")
    yield _text(16, 50, f"{what}; the dashed line is what a confidence should be", "small")
    x = float(LEFT)
    for name, kind in NAMES.values():
        yield f'<circle class="{kind}" cx="{x}" cy="70" r="4"/>' + _text(x + 10, 74, name, "small")
        x += 140
    for place, crowd in enumerate(crowds):
        yield from _diagram([each for each in results if each.crowd == crowd], LEFT + place * (SIDE + GAP))
    yield "</svg>"


def _diagram(results: Sequence[Result], left: float) -> Iterator[str]:
    bottom = TOP + SIDE
    yield f'<rect class="frame" x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>'
    yield f'<line class="right" x1="{left}" y1="{bottom}" x2="{left + SIDE}" y2="{TOP}"/>'
    for tenth in (0, 2, 4, 6, 8, 10):
        step = SIDE * tenth / 10
        yield _text(left - 6, bottom - step + 4, f"{tenth / 10:.1f}", "small end")
        yield _text(left + step, bottom + 16, f"{tenth / 10:.1f}", "small middle")
    yield _text(left + SIDE / 2, bottom + 36, results[0].crowd, "name middle")
    for result in sorted(results, key=lambda result: list(NAMES).index(result.method), reverse=True):
        kind = NAMES[result.method][1]
        points = [(left + SIDE * each.said, bottom - SIDE * each.right) for each in result.bins]
        yield f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
        total = sum(each.count for each in result.bins)
        for (x, y), each in zip(points, result.bins, strict=True):
            # The area is the share of the labels.
            radius = 1.5 + 9 * (each.count / total) ** 0.5
            yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill-opacity="0.5"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{text}</text>'
