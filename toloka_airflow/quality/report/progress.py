"""How the part Progress shows when answers came."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.report import charts
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
    from toloka_airflow.quality.report.figures import Figures, Timeline


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
        f"Answers in each {charts.span_in_words(timeline.step)}",
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
