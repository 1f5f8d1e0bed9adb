"""How the part Agreement shows one output field: alpha, agreement over time, labels that are mixed up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.parts import Pair, Table, time_in_words
from toloka_airflow.quality.report.values import plain_text

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import FieldFigures, Figures, Timeline

MOST_MIXED_UP = 10


def field_view(figures: Figures, each: FieldFigures, *, is_first: bool) -> dict[str, Any]:
    """Return what the template shows of an output field; how sure labels are is of all fields, and with the first."""
    name = plain_text(each.name, 100)
    if each.alpha is None:
        words = "Krippendorff's alpha is not defined: no task has answers of two people, or all answers are the same."
    else:
        words = f"Krippendorff's alpha is {each.alpha:.3f}: {reliability(each.alpha)}."
    over_time, over_time_table = _over_time(figures.timeline, each)
    view: dict[str, Any] = {
        "name": name,
        "words": words,
        "over_time": over_time,
        "over_time_table": over_time_table,
        "sureness": None,
        "confusion": None,
    }
    if is_first:
        view |= _sureness(figures)
    if each.compared:
        view |= _confusion(each)
    return view


def reliability(alpha: float) -> str:
    """Return what Krippendorff's rule says of an alpha."""
    if alpha >= 0.8:
        return "reliable, by the usual rule"
    if alpha >= 0.667:
        return "tentative, by the usual rule"
    return "too low to rely on, by the usual rule"


def _over_time(timeline: Timeline | None, each: FieldFigures) -> tuple[Pair | None, Table | None]:
    if timeline is None or sum(value is not None for value in each.agreements) < 2:
        return None, None
    title = "Agreement over time"
    pair = Pair.of(lambda width: charts.line_over_time(title, timeline.start, timeline.step, each.agreements, width))
    rows = [
        [time_in_words(timeline.start + timeline.step * i), "-" if value is None else f"{value:.1%}"]
        for i, value in enumerate(each.agreements)
    ]
    return pair, Table(title, ["from (UTC)", "agreement"], rows)


def _sureness(figures: Figures) -> dict[str, Any]:
    known = figures.sureness[~np.isnan(figures.sureness)]
    if not len(known):
        return {}
    counts, _ = np.histogram(np.clip(known, 0, 1), bins=10, range=(0, 1))
    numbers = counts.tolist()
    names = [f"{i / 10:.1f}" for i in range(10)]
    title = f"Labels by their {figures.number}"
    rows = [[f"{i / 10:.1f} to {(i + 1) / 10:.1f}", f"{number:,}"] for i, number in enumerate(numbers)]
    return {
        "sureness": Pair.of(lambda width: charts.histogram(title, numbers, names, "labels", width)),
        "sureness_table": Table(title, [figures.number, "labels"], rows),
    }


def _confusion(each: FieldFigures) -> dict[str, Any]:
    names = [plain_text(value, 60) for value in each.values]
    if each.others:
        names.append(f"{each.others} others")
    rows = [[name, *(f"{number:,}" for number in counts)] for name, counts in zip(names, each.confusion, strict=True)]
    words = (
        f"{each.right:,} of {each.compared:,} answers ({each.right / each.compared:.1%}) are right: as a control "
        "task's known solution says, or else as the label of the task. A square is the darker, the larger its "
        "share of its row: blue where the answer is right, red where it is not."
    )
    if each.others:
        words += f" Grey is what one of {each.others} others was answered where one of them is right."
    return {
        "confusion": Pair.of(
            lambda width: charts.confusion(names, each.confusion, each.others > 0, "right", width), 620
        ),
        "confusion_words": words,
        "mixed_up": _mixed_up(names, each.confusion),
        "confusion_table": Table("Right in rows, answered in columns", ["right", *names], rows),
    }


def _mixed_up(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """Return which labels were taken for which most often."""
    pairs = [(number, i, j) for i, row in enumerate(counts) for j, number in enumerate(row) if i != j and number]
    most = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:MOST_MIXED_UP]
    rows = [
        [f"{names[i]} taken for {names[j]}", f"{number:,}", f"{number / sum(counts[i]):.1%}"] for number, i, j in most
    ]
    return Table("The most frequent mistakes", ["", "answers", "of the right label"], rows)
