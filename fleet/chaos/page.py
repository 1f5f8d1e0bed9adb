"""The page of a time of chaos: one HTML file with a time line, drawn from the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from fleet.chaos.judgement import Opening, Verdict, pair

if TYPE_CHECKING:
    from fleet.chaos.records import Disturbance, Records, Request, Run

WIDTH, LEFT, RIGHT = 1200, 190, 20
ROW, RUN_ROW, BIN = 17, 13, 10.0
REQUESTS_HIGH = 70
STYLE = """
  :root { color-scheme: light dark; --page: #fff; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --faint: #eff2f5;
    --hit: #8250df; --missed: #afb8c1; --run: #d1d9e0; --pool: #0969da; --training: #1b7c83; --green: #1a7f37;
    --red: #cf222e; --bars: #afb8c1 }
  @media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #f0f6fc; --dim: #9198a1; --line: #3d444d;
    --faint: #1b212a; --hit: #ab7df8; --missed: #656c76; --run: #3d444d; --pool: #4493f8; --training: #39c5cf;
    --green: #3fb950; --red: #f85149; --bars: #656c76 } }
  body { background: var(--page); color: var(--text); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
    margin: 24px auto; max-width: 1200px; padding: 0 16px }
  h1 { font-size: 20px; margin: 0 } h2 { font-size: 16px; margin: 24px 0 6px } p { margin: 6px 0 }
  svg { width: 100%; height: auto; display: block } svg text { font-size: 12px; fill: var(--text) }
  svg .dim { fill: var(--dim) } svg .end { text-anchor: end } svg .middle { text-anchor: middle }
  svg .head { font-weight: 600; font-size: 13px } .dim { color: var(--dim) } .good { color: var(--green) }
  .bad { color: var(--red) } li { margin: 4px 0; overflow-wrap: anywhere } code { font-size: 12px }
  .g { stroke: var(--line) } .v { stroke: var(--faint) } .hit { fill: var(--hit) }
  .missed { fill: none; stroke: var(--missed) }
  .run { fill: var(--run) } .pool { fill: var(--pool) } .training { fill: var(--training) } .ok { fill: var(--green) }
  .failed { fill: var(--red) } .requests { fill: var(--bars) } .close { stroke: var(--text); stroke-width: 1.5 }
"""


def draw(records: Records, verdict: Verdict) -> str:
    """Return the page."""
    about = records.about()
    runs, disturbances = records.runs(), records.disturbances()
    ends = [run.ended for run in runs if run.ended] + [each.ended for each in disturbances]
    line = TimeLine(about["began"], max(ends, default=about["began"] + 60))
    picture = "\n".join(line.picture(disturbances, runs, _by_run(records), records.requests()))
    when = datetime.fromtimestamp(about["began"], UTC)
    hit = sum(each.hit for each in disturbances)
    states = Counter(run.state for run in runs)
    first = (
        f"{when:%d %B %Y, %H:%M} UTC: {about['minutes']:g} minutes of disturbances, seed {about['seed']}. "
        f"{hit} disturbances; {len(runs)} rounds, {states['success']} green, {states['failed']} red."
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width"><title>A fleet under chaos</title>',
            f"<style>{STYLE}</style></head><body><h1>A fleet under chaos</h1><p>{escape(first)}</p>",
            *_verdict(verdict),
            picture,
            *_list("Violations", verdict.violations, "bad"),
            *_list("Not tried", verdict.shortfalls, "bad"),
            *_explanations(verdict),
            *_list("Worth to be known", verdict.notes),
            "</body></html>",
        ]
    )


class TimeLine:
    """
    A picture over time: what was done to the fleet, what was open meanwhile, and what Toloka was asked.

    :param began: Its left end, in seconds since 1970.
    """

    def __init__(self, began: float, ended: float) -> None:
        self.began = began
        self.span = max(ended - began, 60.0)

    def x(self, time: float) -> float:
        """Return where a time is."""
        place = (time - self.began) / self.span
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(place, 0.0), 1.0)

    def picture(
        self,
        disturbances: Sequence[Disturbance],
        runs: Sequence[Run],
        openings: dict[str, list[Opening]],
        requests: Sequence[Request],
    ) -> Iterator[str]:
        """Yield the lines of the picture."""
        kinds = list(dict.fromkeys(each.kind for each in disturbances))
        top = 46
        below = top + ROW * len(kinds) + 36
        bottom = below + RUN_ROW * len(runs) + 36
        height = bottom + REQUESTS_HIGH + 12
        yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="time line">'
        yield from self._minutes(height)
        yield _text(0, 34, "disturbances", "head")
        for number, kind in enumerate(kinds):
            yield _text(LEFT - 10, top + ROW * number + 12, kind, "end")
            yield f'<path class="g" d="M{LEFT} {top + ROW * number + ROW}H{WIDTH - RIGHT}"/>'
        for each in disturbances:
            x = self.x(each.began)
            yield f'<path class="v" d="M{x:.1f} {below - 18}V{bottom + REQUESTS_HIGH}"/>' if each.hit else ""
            name = "hit" if each.hit else "missed"
            yield self._bar(name, each.began, each.ended, top + ROW * kinds.index(each.kind) + 3, 11, each.told)
        yield _text(0, below - 8, "rounds", "head")
        yield from _legend(LEFT, below - 8)
        for number, run in enumerate(runs):
            yield from self._run(run, openings.get(run.run_id, []), below + RUN_ROW * number)
        yield _text(0, bottom - 8, f"requests in {BIN:.0f} s", "head")
        yield from self._requests(requests, bottom)
        yield "</svg>"

    def _minutes(self, height: float) -> Iterator[str]:
        step = 1 if self.span < 900 else 5
        for minute in range(0, int(self.span // 60) + 1, step):
            x = self.x(self.began + 60 * minute)
            yield f'<path class="g" d="M{x:.1f} 22V{height - 12}"/>{_text(x, 16, f"{minute} min", "dim middle")}'

    def _run(self, run: Run, openings: Sequence[Opening], y: float) -> Iterator[str]:
        ended = self.began + self.span if run.ended is None else run.ended
        clock = datetime.fromtimestamp(run.began, UTC).strftime("%H:%M:%S")
        yield _text(LEFT - 10, y + 10, f"{run.dag_id.removeprefix('round_')} {clock}", "end dim")
        yield self._bar("run", run.began, ended, y + 4, 4, f"{run.name}: {run.state}")
        for opening in sorted(openings, key=lambda each: each.kind, reverse=True):
            until = self.began + self.span if opening.ended is None else opening.ended
            told = f"{opening.name} open for {until - opening.began:.0f} s, {opening.reason or 'not closed'}"
            place, high = (y + 2, 4) if opening.kind == "training" else (y + 5, 5)
            yield self._bar(opening.kind, opening.began, until, place, high, told)
        if run.closes_at is not None:
            yield f'<path class="close" d="M{self.x(run.closes_at):.1f} {y}V{y + 12}"/>'
        if run.ended is not None:
            name = "ok" if run.state == "success" else "failed"
            yield f'<circle class="{name}" cx="{self.x(run.ended):.1f}" cy="{y + 6}" r="4"/>'

    def _requests(self, requests: Sequence[Request], top: float) -> Iterator[str]:
        counts = Counter(int((each.at - self.began) // BIN) for each in requests)
        wrong = Counter(int((each.at - self.began) // BIN) for each in requests if _went_wrong(each))
        most = max(counts.values(), default=1)
        yield _text(LEFT - 10, top + 10, str(most), "end dim")
        for name, found in (("requests", counts), ("failed", wrong)):
            for place, count in sorted(found.items()):
                began = self.began + BIN * place
                if began < self.began + self.span:
                    high = REQUESTS_HIGH * count / most
                    yield self._bar(name, began, began + BIN - 2, top + REQUESTS_HIGH - high, high)

    def _bar(self, name: str, began: float, ended: float, y: float, high: float, told: str = "") -> str:
        x = self.x(began)
        title = f"<title>{escape(told)}</title>" if told else ""
        box = (
            f'class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(self.x(ended) - x, 3):.1f}" height="{high:.1f}" rx="1"'
        )
        return f"<rect {box}>{title}</rect>"


def _by_run(records: Records) -> dict[str, list[Opening]]:
    owners = {(thing.kind, thing.id): thing.run_id for thing in records.things()}
    found: dict[str, list[Opening]] = {}
    for opening in pair(records.events()):
        found.setdefault(owners.get((opening.kind, opening.id)) or "", []).append(opening)
    return found


def _went_wrong(request: Request) -> bool:
    return request.fault is not None or request.status is None or request.status >= 500 or request.status == 401


def _legend(x: float, y: float) -> Iterator[str]:
    for name, what in (("run", "the run"), ("pool", "pool open"), ("training", "training open")):
        yield f'<rect class="{name}" x="{x}" y="{y - 8}" width="22" height="6" rx="1"/>{_text(x + 28, y, what, "dim")}'
        x += 50 + 7 * len(what)
    yield f'<path class="close" d="M{x} {y - 10}V{y + 1}"/>{_text(x + 8, y, "end of the window", "dim")}'
    yield f'<circle class="ok" cx="{x + 142}" cy="{y - 4}" r="4"/>{_text(x + 152, y, "green", "dim")}'
    yield f'<circle class="failed" cx="{x + 202}" cy="{y - 4}" r="4"/>{_text(x + 212, y, "red", "dim")}'


def _verdict(verdict: Verdict) -> Iterator[str]:
    if verdict.is_good:
        yield (
            '<p class="good"><b>No violation</b>: no pool or training was open outside its time, nothing was doubled, '
            "missing or falsely green, and each red run is explained below.</p>"
        )
    else:
        yield (
            f'<p class="bad"><b>{len(verdict.violations)} violations</b>, {len(verdict.unexplained)} red runs without '
            f"an explanation, {len(verdict.shortfalls)} things not tried.</p>"
        )


def _list(title: str, items: Sequence[str], kind: str = "") -> Iterator[str]:
    if items:
        yield f"<h2>{escape(title)}</h2><ul>"
        yield from (f'<li class="{kind}">{escape(item)}</li>' for item in items)
        yield "</ul>"


def _explanations(verdict: Verdict) -> Iterator[str]:
    if not verdict.explanations:
        return
    yield "<h2>Why runs were red</h2><ul>"
    for each in verdict.explanations:
        kind = "" if each.is_complete else "bad"
        yield f'<li class="{kind}"><b>{escape(each.run.name)}</b>{"" if each.is_complete else ": not explained"}<ul>'
        yield from (f"<li>{escape(reason)}</li>" for reason in each.reasons)
        yield "</ul></li>"
    yield "</ul>"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
