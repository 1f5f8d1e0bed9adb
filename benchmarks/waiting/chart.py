"""The chart: how each way to wait grows with the number of waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from benchmarks.waiting.cases import CASES
from benchmarks.waiting.figures import Figures

WIDTH, HEIGHT = 960, 610
LEFT, TOP, ACROSS, DOWN, WIDE, HIGH = 70, 112, 470, 270, 380, 180
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
  .end { text-anchor: end } .middle { text-anchor: middle } .page { fill: #ffffff } .line { stroke: #d1d9e0 }
  .limit { stroke: #59636e; stroke-dasharray: 5 4 } path { fill: none; stroke-width: 2 } .shared { stroke-width: 3.5 }
  .shared { stroke: #0969da } .by_id { stroke: #8250df } .http { stroke: #bc4c00 } .dbt { stroke: #bf8700 }
  .kit { stroke: #57606a } .sleep { stroke: #afb8c1; stroke-dasharray: 2 4 } circle { stroke-width: 2; fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .line { stroke: #3d444d }
    .limit { stroke: #9198a1 } circle { fill: #0d1117 }
    .shared { stroke: #58a6ff } .by_id { stroke: #bc8cff } .http { stroke: #f0883e } .dbt { stroke: #e3b341 }
    .kit { stroke: #9198a1 } .sleep { stroke: #6e7681 }
  }
"""

Value = Callable[[Figures], float | None]


def _delay(one: Figures) -> float | None:
    """Return how late ends are seen by those who have to look."""
    return None if one.case == "sleep" else one.p99


PANELS: list[tuple[str, Value, Callable[[float], str], tuple[float, str, int] | None]] = [
    ("API requests in the busiest second", lambda one: one.peak, lambda v: f"{v:,.0f}", (300, "Toloka allows 300", -5)),
    ("CPU seconds per 1,000 waits and minute", lambda one: one.cpu, lambda v: f"{v:,g}", None),
    ("Memory per wait", lambda one: one.memory / 1e3, lambda v: f"{v:,g} kB", None),
    ("Seconds until 99 % of the ends were seen", _delay, lambda v: f"{v:,g} s", (5, "poll_interval", 15)),
]


def draw(results: list[Figures]) -> Iterator[str]:
    """Yield the lines of the picture, of all that a user can choose from."""
    results = [one for one in results if CASES[one.case].process != "loop"]
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    yield "<title>What waiting costs with 100, 1,000 and 10,000 waits at once, beside others</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    yield _text(16, 30, "What waiting costs, by the number of waits in one process", "title")
    yield from _legend(results)
    for place, (name, value, tick, limit) in enumerate(PANELS):
        panel = Panel(results, value, LEFT + place % 2 * ACROSS, TOP + place // 2 * DOWN)
        yield _text(panel.x, panel.y - 14, name, "name")
        yield from panel.grid(tick)
        if limit:
            yield from panel.limit(*limit)
        yield from panel.lines()
    yield "</svg>"


class Panel:
    """One value over the number of waits, both in powers of ten."""

    def __init__(self, results: list[Figures], value: Value, x: int, y: int) -> None:
        self.x, self.y = x, y
        self.counts = sorted({one.waits for one in results})
        points = [(one.case, one.waits, told) for one in results if (told := value(one)) is not None and told > 0]
        self.points = sorted(points, key=lambda point: point[1])
        told = [point[2] for point in points]
        self.low = math.floor(math.log10(min(told)))
        self.high = max(math.ceil(math.log10(max(told))), self.low + 1)

    def across(self, value: float) -> float:
        """Return where a value is."""
        return self.y + HIGH * (self.high - math.log10(value)) / (self.high - self.low)

    def along(self, waits: int) -> float:
        """Return where a number of waits is."""
        first, last = math.log10(self.counts[0]), math.log10(self.counts[-1])
        return self.x + 24 + (WIDE - 48) * ((math.log10(waits) - first) / (last - first) if last > first else 0.5)

    def grid(self, tick: Callable[[float], str]) -> Iterator[str]:
        """Yield lines at the powers of ten, and what they are."""
        for power in range(self.low, self.high + 1):
            y = self.across(10.0**power)
            yield f'<line class="line" x1="{self.x}" x2="{self.x + WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield _text(self.x - 8, y + 4, tick(10.0**power), "small end")
        for count in self.counts:
            yield _text(self.along(count), self.y + HIGH + 20, f"{count:,}", "small middle")

    def limit(self, value: float, why: str, below: int) -> Iterator[str]:
        """Yield a line at a value, if it is on the picture."""
        y = self.across(value)
        if self.y <= y <= self.y + HIGH:
            yield f'<line class="limit" x1="{self.x}" x2="{self.x + WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield _text(self.x + 6, y + below, why, "small")

    def lines(self) -> Iterator[str]:
        """Yield a line for each case, ours on top."""
        for case in reversed(CASES):
            places = [(self.along(waits), self.across(value)) for name, waits, value in self.points if name == case]
            if places:
                yield f'<path class="{case}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
            yield from (f'<circle class="{case}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places)


def _legend(results: list[Figures]) -> Iterator[str]:
    x = 16
    for case in CASES.values():
        if any(one.case == case.name for one in results):
            yield f'<path class="{case.name}" d="M{x} 56 h26"/>'
            yield _text(x + 33, 60, case.title)
            x += 33 + 8 * len(case.title) + 22


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{text}</text>'
