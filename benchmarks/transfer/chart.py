"""The chart: how fast everybody is, by how long a request takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.transfer.case import Case, Result

WIDTH, LEFT, TOP, BAR, GAP, LONGEST = 960, 250, 84, 18, 16, 560
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
  .end { text-anchor: end } .page { fill: #ffffff } .ours { fill: #0969da } .plain { fill: #afb8c1 }
  .before { fill: #8250df } .kit { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .ours { fill: #58a6ff }
    .plain { fill: #6e7681 } .before { fill: #bc8cff } .kit { fill: #f0883e }
  }
"""
JOBS = {"download": "Download as JSON Lines", "parquet": "Download as Parquet", "upload": "Upload"}


def draw(results: Mapping[Case, Sequence[Result]], peers: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the picture: a bar for each case, those of one job and one latency together."""
    # What is measured for the memory is no comparison.
    most = {
        job: max(case.rows for case in results if case.job == job and case.peer != "ours")
        for job in ("download", "upload")
    }
    shown = {case: _rate(some) for case, some in results.items() if case.rows <= most.get(case.job, case.rows)}
    groups = sorted({(list(JOBS).index(case.job), case.latency) for case in shown})
    lines, y = list[str](), TOP
    for job, latency in groups:
        name = list(JOBS)[job]
        some = [case for case in shown if (case.job, case.latency) == (name, latency)]
        latest = max(case.rows for case in some)
        lines.append(_text(16, y + 13, f"{JOBS[name]}, {latency} ms a request", "name"))
        y += BAR + 4
        for case in sorted(some, key=lambda case: list(peers).index(case.peer)):
            if case.peer != "kit" and case.rows != latest:
                continue
            length = LONGEST * shown[case] / max(shown.values())
            lines.append(_text(LEFT - 8, y + 13, case.peer if case.peer != "kit" else "toloka-kit", "small end"))
            lines.append(
                f'<rect class="{case.peer}" x="{LEFT}" y="{y}" width="{max(1, length):.1f}" height="{BAR - 4}" rx="2"/>'
            )
            lines.append(_text(LEFT + length + 8, y + 12, f"{shown[case]:,.0f}", "small"))
            y += BAR
        y += GAP
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">'
    yield "<title>Rows per second, by how long a request takes</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="page" width="{WIDTH}" height="{y}" rx="8"/>'
    yield _text(16, 30, "Rows per second, by how long a request takes", "title")
    yield _text(16, 54, "; ".join(f"{peer}: {title}" for peer, title in peers.items()), "small")
    yield from lines
    yield "</svg>"


def _rate(results: Sequence[Result]) -> float:
    return statistics.median(result.rate for result in results)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{text}</text>'
