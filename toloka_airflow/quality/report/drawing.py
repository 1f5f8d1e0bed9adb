"""
What charts are drawn with: elements of SVG, text of a known width, scales, axes, and numbers in few letters.

Whatever text comes in is escaped by `element`, so no name of a label or of a person can become markup.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from unicodedata import east_asian_width

from markupsafe import Markup

from toloka_airflow._internal.wording import counted, plural

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 34
LETTER, WIDE_LETTER = 7.4, 13.0
"""Pixels that a letter of a chart takes, and one of Chinese or a picture; more than most, as none is to be cut off."""
DAY = 86400.0
STEPS = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY)
"""Seconds between two marks of an axis of time, or two bars."""


def element(name: str, *children: str, **attributes: object) -> Markup:
    """
    Return an element of SVG or HTML; what is no markup yet is escaped.

    :param children: Text, and other elements.
    :param attributes: ``class_`` is ``class``, and ``_`` stands for ``-``; ``None`` leaves one out.
    """
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, Markup("").join(children))


def _number(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def chart(kind: str, width: int, height: float, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    """Return an ``svg``; its title and description are what a screen reader says."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        class_=f"chart {kind}",
        role="img",
        aria_label=f"{title}. {description}",
        viewBox=f"0 0 {width} {height:.0f}",
        width=width,
        height=round(height),
    )


def text(x: float, y: float, words: str, kind: str = "", **attributes: object) -> Markup:
    """Return a line of text."""
    return element("text", words, x=x, y=y, class_=kind or None, **attributes)


def shortened(words: str, width: float) -> str:
    """Return what fits into so many pixels."""
    if breadth(words) <= width:
        return words
    fitting = max(0, bisect_right(list(accumulate(map(_pixels, words))), width - LETTER))
    return f"{words[:fitting]}…"


def breadth(words: str) -> float:
    """Return how many pixels a line of text takes at most."""
    return sum(map(_pixels, words))


def _pixels(letter: str) -> float:
    is_wide = letter == "\N{REPLACEMENT CHARACTER}" or east_asian_width(letter) in "WF"
    return WIDE_LETTER if is_wide else LETTER


@dataclass(frozen=True)
class Scale:
    """
    From values to pixels.

    :param low: The value at ``start``; ``high`` is the one at ``end``.
    """

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value is."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        share = 0.5 if high <= low else min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start + share * (self.end - self.start)


def even_steps(high: float, most: int = 5) -> list[float]:
    """Return round values from 0 to at least ``high``, at most ``most`` steps; whole ones."""
    step = 1.0
    while step * most < high:
        step *= 2.5 if f"{step:.0f}".startswith("2") else 2
    return [step * i for i in range(max(1, math.ceil(high / step)) + 1)]


def value_axis(scale: Scale, marks: Sequence[float], width: int, unit: str = "") -> list[Markup]:
    """Return lines across a chart, each with its value beside it."""
    parts = []
    for mark in marks:
        y = scale(mark)
        parts.append(element("line", class_="grid", x1=LEFT, x2=width - RIGHT, y1=y, y2=y))
        parts.append(text(LEFT - 8, y + 4, f"{in_short(mark)}{unit}", "axis end"))
    return parts


def in_short(value: float) -> str:
    """Return a count in few letters."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.4g}"


def time_axis(scale: Scale, y: float, width: int) -> list[Markup]:
    """Return marks at round times; the first one of a day has its date."""
    spacing = 60.0
    marks_at_most = max(2, int((scale.end - scale.start) / spacing))
    seconds = scale.high - scale.low
    step = next((step for step in STEPS if seconds / step <= marks_at_most), seconds / marks_at_most)
    parts, day = [], ""
    at = math.ceil(scale.low / step) * step
    while at <= scale.high:
        begins = datetime.fromtimestamp(at, UTC)
        x, date = scale(at), f"{begins:%-d %b}"
        where = "axis end" if scale.end - x < spacing / 4 else "axis middle"
        parts.append(element("line", class_="tick", x1=x, x2=x, y1=y, y2=y + 4))
        if step >= DAY:
            parts.append(text(x, y + 18, date, where))
        else:
            parts.append(text(x, y + 17, f"{begins:%H:%M}", where))
            if date != day:
                parts.append(text(x, y + 30, date, where))
        day, at = date, at + step
    return parts


def duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for size, unit in ((DAY, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def span_in_words(seconds: float) -> str:
    """Return a span of time as it follows "each"."""
    for size, unit in ((7 * DAY, "week"), (DAY, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size and seconds % size == 0:
            number = round(seconds / size)
            return unit if number == 1 else counted(number, unit)
    return f"{seconds:.0f} {plural(round(seconds), 'second')}"
