"""When answers came, and how the part Progress shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality import answer_table
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts, drawing
from toloka_airflow.quality.report.parts import (
    OTHER_STATUS,
    STATUSES,
    Pair,
    Table,
    answers_in_words,
    keys,
    time_in_words,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.report.figures import Figures

MOST_SPANS = 48
TIMES = 0.0, 32503680000.0
"""Submissions before 1970 or after 3000 are mistakes; on an axis of time they would leave nothing of the others."""


@dataclass(frozen=True)
class Timeline:
    """
    When answers came, in spans of equal length.

    :param start: Of the first span, in seconds since 1970.
    :param step: Seconds of a span.
    :param counts: For each status that occurs, a count for each span.
    """

    start: float
    step: float
    counts: Mapping[str, list[int]]

    @property
    def spans(self) -> int:
        """Return how many spans there are."""
        return len(next(iter(self.counts.values())))


def timeline_of(table: answer_table.AnswerTable) -> Timeline | None:
    """Return when the answers came; ``None`` if no time is known."""
    known = np.flatnonzero(is_in_time(table.submitted))
    if not len(known):
        return None
    times = table.submitted[known]
    first, last = float(times.min()), float(times.max())
    step = next((step for step in drawing.STEPS if (last - first) / step < MOST_SPANS - 1), None)
    step = step or math.ceil((last - first) / (MOST_SPANS - 1) / drawing.STEPS[-1]) * drawing.STEPS[-1]
    start = math.floor(first / step) * step
    spans = int((last - start) // step) + 1
    spans_of = ((times - start) // step).astype(np.int64)
    codes = table.statuses[known].astype(np.int64)
    counts = np.bincount(codes * spans + spans_of, minlength=len(answer_table.STATUSES) * spans)
    by_status = dict(zip(answer_table.STATUSES, counts.reshape(len(answer_table.STATUSES), spans), strict=True))
    return Timeline(start, step, {status: each.tolist() for status, each in by_status.items() if each.any()})


def is_in_time(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which times are none by mistake; what is not known (nan) is not among them."""
    return (times >= TIMES[0]) & (times < TIMES[1])


def progress_view(figures: Figures, timeline: Timeline) -> dict[str, Any]:
    """Return what the template shows of a timeline."""
    known = [status for status in (*STATUSES, *timeline.counts) if status in timeline.counts]
    rows = [(*STATUSES.get(status, OTHER_STATUS), timeline.counts[status]) for status in dict.fromkeys(known)]
    totals = [sum(counts) for counts in zip(*timeline.counts.values(), strict=True)]
    so_far = list(accumulate(totals))
    last = max(i for i, total in enumerate(totals) if total)
    first_at, last_at = timeline.start, timeline.start + timeline.step * (last + 1)
    words = (
        f"The first answer came after {time_in_words(first_at)}, the last one before {time_in_words(last_at)} (UTC). "
    )
    words += _shares(figures)
    table = Table(
        f"Answers in each {drawing.span_in_words(timeline.step)}",
        ["from (UTC)", *(name for name, _, _ in rows), "so far"],
        [
            [
                time_in_words(timeline.start + timeline.step * i),
                *(f"{counts[i]:,}" for _, _, counts in rows),
                f"{so_far[i]:,}",
            ]
            for i in range(timeline.spans)
        ],
    )
    return {
        "words": words,
        "so_far": Pair.of(lambda width: charts.so_far(timeline.start, timeline.step, so_far, width)),
        "bars": Pair.of(lambda width: charts.answers_over_time(timeline.start, timeline.step, rows, width)),
        "legend": keys((name, kind) for name, kind, _ in rows),
        "table": table,
    }


def _shares(figures: Figures) -> str:
    parts = [
        f"{number:,} {STATUSES.get(status, OTHER_STATUS)[0]} ({number / figures.answers:.1%})"
        for status, number in figures.statuses.items()
    ]
    return f"Of {answers_in_words(figures.answers)}: {', '.join(parts)}."
