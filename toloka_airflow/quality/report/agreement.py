"""How much people agree in an output field, and how the part Agreement shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.quality.agreement import krippendorff_alpha, vote_agreement
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.parts import Pair, Table, count, time_in_words
from toloka_airflow.quality.report.progress import Timeline, is_in_time
from toloka_airflow.quality.report.values import plain_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.report.figures import Figures
    from toloka_airflow.quality.report.labels import Labels

MOST_LABELS = 12
"""Rows and columns of a confusion matrix; the last one stands for all others."""
MOST_MIXED_UP = 10


@dataclass(frozen=True, eq=False)
class FieldFigures:
    """
    How much people agree in an output field.

    :param alpha: Krippendorff's, of all votes; ``None`` if it is not defined.
    :param agreements: For each span of the timeline, how many of the other votes on its task a vote agrees with;
        ``None`` where there is none.
    :param values: The labels of the confusion matrix.
    :param confusion: A row for each right label, a column for each that was answered; counts.
    :param others: How many labels the last row and column stand for; 0 if it is one of its own.
    :param right: How many votes were right; ``compared``: of how many that is known.
    """

    name: str
    alpha: float | None
    agreements: Sequence[float | None]
    values: Sequence[Any]
    confusion: Sequence[Sequence[int]]
    others: int
    right: int
    compared: int


def field_figures(
    table: AnswerTable, labels: Labels, name: str, right: NDArray[np.int32], timeline: Timeline | None
) -> FieldFigures:
    """Return how much people agree in a field; ``right`` is the right value of each task, or -1."""
    votes = table.votes(name)
    compared = right[votes.tasks] >= 0
    pairs = right[votes.tasks][compared], votes.labels[compared]
    values, matrix, others = _confusion_counts(labels.values[name], *pairs)
    return FieldFigures(
        name=name,
        alpha=krippendorff_alpha(votes).value,
        agreements=_agreements(table, name, timeline),
        values=values,
        confusion=matrix,
        others=others,
        right=int((pairs[0] == pairs[1]).sum()),
        compared=int(compared.sum()),
    )


def _confusion_counts(
    values: list[Any], right: NDArray[np.int32], answered: NDArray[np.int32]
) -> tuple[list[Any], list[list[int]], int]:
    """Return the labels that are shown, counts of right and answered ones, and how many labels the last stands for."""
    frequency = np.bincount(right, minlength=len(values)) + np.bincount(answered, minlength=len(values))
    if not frequency.any():
        return [], [], 0
    present = np.flatnonzero(frequency)
    shown, others = present, 0
    if len(present) > MOST_LABELS:
        most = present[np.argsort(-frequency[present], kind="stable")][: MOST_LABELS - 1]
        shown, others = np.sort(most), len(present) - MOST_LABELS + 1
    size = len(shown) + (others > 0)
    shown_at = np.full(len(values), size - 1, np.int64)
    shown_at[shown] = np.arange(len(shown))
    counts = np.bincount(shown_at[right] * size + shown_at[answered], minlength=size * size).reshape(size, size)
    return [values[i] for i in shown], counts.tolist(), others


def _agreements(table: AnswerTable, name: str, timeline: Timeline | None) -> Sequence[float | None]:
    """Return for each span how many of the other votes on its task a vote of the span agrees with, on average."""
    if timeline is None:
        return ()
    times, agreement = table.submitted[table.vote_rows(name)], vote_agreement(table.votes(name))
    kept = is_in_time(times) & np.isfinite(agreement)
    spans_of = ((times[kept] - timeline.start) // timeline.step).astype(np.int64)
    counts = np.bincount(spans_of, minlength=timeline.spans)
    sums = np.bincount(spans_of, agreement[kept], minlength=timeline.spans)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


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
        names.append(counted(each.others, "other"))
    rows = [[name, *(f"{number:,}" for number in counts)] for name, counts in zip(names, each.confusion, strict=True)]
    words = (
        f"{each.right:,} of {count(each.compared, 'answer', 'answers')} ({each.right / each.compared:.1%}) are "
        "right: as a control "
        "task's known solution says, or else as the label of the task. A square is the darker, the larger its "
        "share of its row: blue where the answer is right, red where it is not."
    )
    if each.others:
        words += f" Grey is what one of {counted(each.others, 'other')} was answered where one of them is right."
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
