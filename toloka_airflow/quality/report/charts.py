"""
Charts as inline SVG: plain functions of figures, each with a title and a description for those who use a screen reader.

Colours are those of the page (its style sheet has the classes), so a chart is light or dark as the page is; nothing
needs a script, a ``style`` attribute or a request. Whatever text comes in is escaped (`drawing`).

A chart is drawn for a width in pixels. A page shows one of two: text in a chart made smaller could not be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from toloka_airflow._internal.wording import counted
from toloka_airflow.quality.report.drawing import (
    BOTTOM,
    DAY,
    LEFT,
    LETTER,
    RIGHT,
    TOP,
    Scale,
    breadth,
    chart,
    duration,
    element,
    even_steps,
    in_short,
    shortened,
    span_in_words,
    text,
    time_axis,
    value_axis,
)
from toloka_airflow.quality.report.parts import answers_in_words, count

if TYPE_CHECKING:
    from markupsafe import Markup


def answers_over_time(
    start: float, step: float, statuses: Sequence[tuple[str, str, Sequence[int]]], width: int
) -> Markup:
    """
    Return bars: how many answers came in each span of time, a colour for each status.

    :param start: When the first span begins, in seconds since 1970; ``step`` is how long each is.
    :param statuses: For each status its name, its class, and a count for each span.
    """
    height = 210
    spans = len(statuses[0][2])
    totals = [sum(counts[i] for _, _, counts in statuses) for i in range(spans)]
    marks = even_steps(max(totals), 4)
    y = Scale(0, marks[-1], height - BOTTOM, TOP)
    x = Scale(start, start + step * spans, LEFT, width - RIGHT)
    parts = value_axis(y, marks, width) + time_axis(x, y(0), width)
    broad = (x.end - x.start) / spans
    gap = 1.0 if broad > 4 else 0.0
    for i in range(spans):
        below = 0
        for name, kind, counts in statuses:
            if not counts[i]:
                continue
            top, bottom = y(below + counts[i]), y(below)
            begins = datetime.fromtimestamp(start + step * i, UTC)
            tip = element("title", f"{begins:%-d %b %H:%M}: {counts[i]:,} {name}")
            parts.append(
                element(
                    "rect",
                    tip,
                    class_=kind,
                    x=x.start + i * broad + gap / 2,
                    width=max(broad - gap, 0.5),
                    y=top,
                    height=max(bottom - top, 0.5),
                )
            )
            below += counts[i]
    most = max(range(spans), key=totals.__getitem__)
    when = datetime.fromtimestamp(start + step * most, UTC)
    description = f"{answers_in_words(sum(totals))}; the most, {totals[most]:,}, came from {when:%-d %B %H:%M} UTC on"
    return chart("answers", width, height, f"Answers in each {span_in_words(step)}", description, parts)


def so_far(start: float, step: float, counts: Sequence[int], width: int) -> Markup:
    """
    Return a line that rises: the answers so far.

    :param counts: How many there were by the end of each span.
    """
    height = 210
    marks = even_steps(counts[-1], 4)
    y = Scale(0, marks[-1], height - BOTTOM, TOP)
    x = Scale(start, start + step * len(counts), LEFT, width - RIGHT)
    points = [(x(start), y(0)), *((x(start + step * (i + 1)), y(number)) for i, number in enumerate(counts))]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    parts = value_axis(y, marks, width) + time_axis(x, y(0), width)
    parts.append(element("polygon", class_="area", points=f"{line} {points[-1][0]:.1f},{y(0):.1f}"))
    parts.append(element("polyline", class_="line", points=line))
    return chart("so-far", width, height, "Answers so far", f"{answers_in_words(counts[-1])} at the end", parts)


def line_over_time(title: str, start: float, step: float, values: Sequence[float | None], width: int) -> Markup:
    """Return a line of shares, one for each span of time; where one is not known, there is a gap."""
    height = 210
    y = Scale(0, 1, height - BOTTOM, TOP)
    x = Scale(start, start + step * len(values), LEFT, width - RIGHT)
    parts = time_axis(x, y(0), width)
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(element("line", class_="grid", x1=LEFT, x2=width - RIGHT, y1=y(mark), y2=y(mark)))
        parts.append(text(LEFT - 8, y(mark) + 4, f"{mark:.0%}", "axis end"))
    run: list[str] = []
    for i, value in enumerate([*values, None]):
        if value is not None:
            cx, cy = x(start + step * (i + 0.5)), y(value)
            run.append(f"{cx:.1f},{cy:.1f}")
            tip = element("title", f"from {datetime.fromtimestamp(start + step * i, UTC):%-d %b %H:%M}: {value:.1%}")
            parts.append(element("circle", tip, class_="dot", cx=cx, cy=cy, r=3))
        elif run:
            parts.append(element("polyline", class_="line", points=" ".join(run)))
            run = []
    known = [value for value in values if value is not None]
    description = f"From {known[0]:.1%} at first to {known[-1]:.1%} at the end" if known else "Not known at any time"
    return chart("over-time", width, height, title, description, parts)


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]], others: bool, rows: str, width: int) -> Markup:
    """
    Return a square for each pair of labels, the darker the larger its share of the row.

    :param names: Of the labels: what is right, in rows, and what was answered, in columns.
    :param others: Whether the last one stands for several labels.
    :param rows: What the rows are, such as ``label``.
    """
    names_width = min(0.3 * width, 14 + max(map(breadth, [*names, rows])))
    others_at = len(names) - 1 if others else -1
    size = min(52.0, (width - names_width - RIGHT) / len(names))
    top = 46.0
    middle = names_width + size * len(names) / 2
    parts = [text(middle, 14, "answered", "axis middle"), text(names_width - 8, top - 8, rows, "axis end")]
    for i, name in enumerate(names):
        parts.append(text(names_width + (i + 0.5) * size, top - 8, shortened(name, size - 4), "axis middle"))
        parts.append(text(names_width - 8, top + (i + 0.5) * size + 4, shortened(name, names_width - 12), "axis end"))
        for j, number in enumerate(counts[i]):
            share = number / (sum(counts[i]) or 1)
            tip = element("title", f"{rows} {name}, answered {names[j]}: {number:,} ({share:.1%} of the row)")
            x, y = names_width + j * size, top + i * size
            # Of several labels together it is not known here which were taken for each other.
            kind = "unknown" if i == j == others_at else "same" if i == j else "other"
            kind = f"cell {kind} heat-{heat(share)}"
            parts.append(element("rect", tip, class_=kind, x=x + 1, y=y + 1, width=size - 2, height=size - 2, rx=3))
            if number and size >= LETTER * len(in_short(number)) + 2:
                deep = " deep" if heat(share) >= 7 else ""
                parts.append(text(x + size / 2, y + size / 2 + 4, in_short(number), f"count middle{deep}"))
    description = f"{counted(len(names), 'label')}; what is right is in rows, what was answered in columns"
    height = top + size * len(names) + 8
    width = math.ceil(names_width + size * len(names) + RIGHT)
    return chart("confusion", max(width, 170), height, "What was answered, by what is right", description, parts)


def heat(share: float) -> int:
    """Return how dark a square is, 0 to 9; what is there at all is not 0."""
    return 0 if share <= 0 else max(1, min(9, math.ceil(share * 9)))


@dataclass(frozen=True)
class Dot:
    """One person, or several in one place: ``people`` of them, ``banned`` of whom are restricted."""

    seconds: float
    accuracy: float
    people: int
    banned: int
    tip: str


def accuracy_by_speed(dots: Sequence[Dot], chance: float | None, name: str, width: int) -> Markup:
    """
    Return a dot for each person: to the right who is slower, above who is more often right.

    :param chance: What somebody who guesses would reach.
    :param name: What the accuracy is measured by.
    """
    height = 300
    slow, fast = max(dot.seconds for dot in dots), min(dot.seconds for dot in dots)
    x = Scale(max(fast / 1.3, 0.01), max(slow * 1.3, 0.02), LEFT + 6, width - RIGHT - 6, is_logarithmic=True)
    low = math.floor(min([dot.accuracy for dot in dots] + ([chance] if chance else [])) * 10) / 10
    y = Scale(min(low, 0.9), 1, height - BOTTOM - 12, TOP + 6)
    marks = _shares(y.low)
    parts = []
    for mark in marks:
        parts.append(element("line", class_="grid", x1=LEFT, x2=width - RIGHT, y1=y(mark), y2=y(mark)))
        parts.append(text(LEFT - 8, y(mark) + 4, f"{mark:.0%}", "axis end"))
    previous = -100.0
    for seconds in _times(x.low, x.high):
        at = x(seconds)
        if at - previous >= 44:
            parts.append(element("line", class_="tick", x1=at, x2=at, y1=height - BOTTOM - 12, y2=height - BOTTOM - 8))
            parts.append(text(at, height - BOTTOM + 6, duration(seconds), "axis middle"))
            previous = at
    parts.append(text((LEFT + width - RIGHT) / 2, height - 6, "time for an answer, median", "axis middle"))
    if chance is not None and chance >= y.low:
        parts.append(element("line", class_="goal", x1=LEFT, x2=width - RIGHT, y1=y(chance), y2=y(chance)))
        parts.append(text(width - RIGHT, y(chance) - 5, "who guesses", "note end"))
    parts += [_dot(dot, x(dot.seconds), y(dot.accuracy)) for dot in sorted(dots, key=lambda dot: dot.banned)]
    everybody, banned = sum(dot.people for dot in dots), sum(dot.banned for dot in dots)
    description = f"{count(everybody, 'person', 'people')} by the time they take and by {name}; banned: {banned:,}"
    return chart("people", width, height, "Accuracy against speed", description, parts)


def _dot(dot: Dot, x: float, y: float) -> Markup:
    radius = min(11.0, 4.0 + 1.5 * math.log2(dot.people))
    tip = element("title", dot.tip)
    if not dot.banned:
        return element("circle", tip, class_="person", cx=x, cy=y, r=radius)
    # Not by colour alone.
    arm = radius * 0.8
    strokes = ((x - arm, y - arm, x + arm, y + arm), (x - arm, y + arm, x + arm, y - arm))
    cross = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for a, b, c, d in strokes)
    ring = element("circle", class_="banned-ring", cx=x, cy=y, r=radius + 2.5)
    return element("g", tip, ring, element("path", class_="banned", d=cross))


def _shares(low: float) -> list[float]:
    step = 0.05 if low >= 0.75 else 0.1 if low >= 0.5 else 0.2
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 4) for i in range(first, round(1 / step) + 1)]


def _times(low: float, high: float) -> list[float]:
    """Return round times between two."""
    even = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, DAY, 7 * DAY)
    return [seconds for seconds in even if low <= seconds <= high]


def histogram(title: str, counts: Sequence[int], labels: Sequence[str], unit: str, width: int) -> Markup:
    """
    Return a bar for each class of a figure.

    :param labels: What each class is called.
    :param unit: What is counted.
    """
    height = 210
    marks = even_steps(max(counts), 4)
    y = Scale(0, marks[-1], height - BOTTOM + 10, TOP)
    broad = (width - RIGHT - LEFT) / len(counts)
    parts = value_axis(y, marks, width)
    every = max(1, math.ceil(LETTER * (max(map(len, labels)) + 1) / broad))
    for i, number in enumerate(counts):
        tip = element("title", f"{labels[i]}: {number:,} {unit}")
        top = y(number)
        bar = {"x": LEFT + i * broad + 1, "width": broad - 2, "y": top, "height": max(y(0) - top, 0.0)}
        parts.append(element("rect", tip, class_="bar", **bar))
        if number:
            parts.append(text(LEFT + (i + 0.5) * broad, max(top - 4, 10), in_short(number), "count middle"))
        if i % every == 0:
            parts.append(text(LEFT + (i + 0.5) * broad, y(0) + 17, labels[i], "axis middle"))
    most = max(range(len(counts)), key=counts.__getitem__)
    description = f"{sum(counts):,} {unit}; {counts[most]:,} of them at {labels[most]}"
    return chart("histogram", width, height, title, description, parts)


def shares_bar(title: str, parts_of: Sequence[tuple[str, str, float]], unit: str, width: int) -> Markup:
    """
    Return one bar of several parts, such as of money.

    :param parts_of: For each part its name, its class, and how large it is.
    """
    total = sum(value for _, _, value in parts_of)
    parts, x = [], 0.0
    for name, kind, value in parts_of:
        broad = width * value / total if total else 0.0
        if broad > 0:
            tip = element("title", f"{name}: {unit}{value:,.2f}")
            parts.append(element("rect", tip, class_=kind, x=x, y=0, width=max(broad - 1, 0.5), height=22, rx=3))
            x += broad
    description = ", ".join(f"{name} {unit}{value:,.2f}" for name, _, value in parts_of)
    return chart("shares", width, 22, title, description, parts)
