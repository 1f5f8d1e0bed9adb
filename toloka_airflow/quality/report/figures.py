"""
All figures of a report, from answers and labels.

What they are made of is in the modules of its parts: `labels`, `progress`, `money`, `agreement`, `people`, `doubts`.
How it is shown is there, too, and put together in `page`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_files import AnswerSource
from toloka_airflow.quality.answer_table import STATUSES, AnswerTable
from toloka_airflow.quality.answers import read_answers
from toloka_airflow.quality.label_rows import label_rows
from toloka_airflow.quality.methods import DEFAULT_METHOD
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report.agreement import FieldFigures, field_figures
from toloka_airflow.quality.report.doubts import Doubt, least_sure
from toloka_airflow.quality.report.labels import make_labels, read_labels, right_values
from toloka_airflow.quality.report.money import Money, money_of
from toloka_airflow.quality.report.parts import answers_in_words, count
from toloka_airflow.quality.report.people import PersonFigures, is_measured_by_controls, people_figures, seconds_of
from toloka_airflow.quality.report.progress import Timeline, timeline_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURE_AT = 0.9
MOST_FIELDS = 6
"""Output fields; a file may have thousands, of which each takes the time and memory of all answers."""


@dataclass(frozen=True)
class PoolFacts:
    """
    What Toloka knows beside the answers; all of it may be missing.

    :param project: The project, as the API answers it.
    :param pool: The pool, as the API answers it.
    :param measured: ``percent``, ``answers``, ``spent`` and ``committed``, as Toloka measured them.
    :param restricted: The ids of people who are kept from working; ``None`` if that is not known.
    """

    project: Mapping[str, Any] = field(default_factory=dict)
    pool: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    restricted: Collection[str] | None = None


@dataclass(frozen=True, eq=False)
class Figures:
    """
    All figures of a report.

    :param controls_without_label: How many control tasks have no label, as they need none; they are among ``tasks``.
    :param labelled: How many tasks have a label.
    :param unanswered: How many of these are not among ``tasks``, as nobody has answered them.
    :param methods: What made the labels, as far as their rows say so.
    :param are_labels_made_here: Whether the labels were made for this report.
    :param is_confidence: Whether the number of a label is a confidence; that of Toloka's own aggregation is none.
    :param sureness: Of every label: its confidence or score.
    :param accuracy_by: What people's accuracy is measured by: ``control tasks`` or ``labels``.
    :param times_are: ``page``: begun to submitted; ``gap``: from one submission to the next; ``None``: unknown.
    """

    facts: PoolFacts
    pool_ids: Sequence[str]
    tasks: int
    controls_without_label: int
    answers: int
    statuses: Mapping[str, int]
    labelled: int
    unanswered: int
    methods: Sequence[str]
    are_labels_made_here: bool
    is_confidence: bool
    sureness: NDArray[np.float64]
    timeline: Timeline | None
    money: Money | None
    fields: Sequence[FieldFigures]
    left_out_fields: Sequence[str]
    people: Sequence[PersonFigures]
    accuracy_by: str
    times_are: str | None
    doubts: Sequence[Doubt]

    @property
    def number(self) -> str:
        """Return what the number of a label is called."""
        return "confidence" if self.is_confidence else "score"

    @property
    def sure(self) -> float | None:
        """Return the share of labels that are as sure as `SURE_AT`, or surer; ``None`` without labels."""
        known = self.sureness[~np.isnan(self.sureness)]
        return float(np.mean(known >= SURE_AT)) if len(known) else None

    @property
    def mean_sureness(self) -> float | None:
        """Return the mean of the numbers of labels; of confidences, that is how many are expected to be right."""
        known = self.sureness[~np.isnan(self.sureness)]
        return float(known.mean()) if len(known) else None

    def in_words(self, currency: str) -> str:
        """Return the figures in short, as lines of a log."""
        lines = [
            f"{answers_in_words(self.answers)} of {count(len(self.people), 'person', 'people')} to "
            f"{count(self.tasks, 'task', 'tasks')}"
        ]
        lines.append(f"labels: {self.labelled:,}" + ("" if self.sure is None else f", {self.sure:.1%} of them sure"))
        lines += [f"agreement in {each.name}: {each.alpha:.3f}" for each in self.fields if each.alpha is not None]
        if self.money is not None:
            lines.append(
                f"money: {currency}{self.money.spent:.2f} spent, {currency}{self.money.committed:.2f} committed"
            )
        return "\n".join(lines)

    def summary(self) -> dict[str, Any]:
        """Return the figures in short, as JSON values; ``None`` for what is not known."""
        alphas = {each.name: None if each.alpha is None else round(each.alpha, 4) for each in self.fields}
        return {
            "tasks": self.tasks,
            "answers": self.answers,
            "people": len(self.people),
            "labels": self.labelled,
            "alpha": alphas,
            "sure": None if self.sure is None else round(self.sure, 4),
            "spent": None if self.money is None else round(self.money.spent, 6),
            "committed": None if self.money is None else round(self.money.committed, 6),
            "per_label": None if self.money is None or self.money.per_label is None else round(self.money.per_label, 6),
        }


def read_figures(
    answers: Any,
    labels: Any = None,
    *,
    fields: Sequence[str] | None = None,
    facts: PoolFacts | None = None,
    doubts: int = 24,
) -> Figures:
    """
    Read answers and labels, and return the figures of a report.

    :param answers: As for `toloka_airflow.quality.answers.read_answers`.
    :param labels: The path of a file of labels, or a list of them; made here by `DEFAULT_METHOD` if there are none.
    :param fields: The output fields; those of the labels by default, or of the first answer.
    :param facts: What Toloka knows beside.
    :param doubts: How many of the least sure tasks to describe.
    :raises ValueError: If an argument cannot be used, or something cannot be read.
    """
    facts = facts or PoolFacts()
    # They are read more than once.
    answers, labels = (list(rows) if isinstance(rows, Iterator) else rows for rows in (answers, labels))
    names = list(fields) if fields is not None else _field_names(answers, labels)
    if not names:
        return _nothing(facts, None if labels is None else sum(1 for _ in label_rows(labels)))
    names, left_out = names[:MOST_FIELDS], names[MOST_FIELDS:]
    table = read_answers(answers, fields=names)
    found = make_labels(table) if labels is None else read_labels(labels, table)
    right = {name: right_values(table, found, name) for name in names}
    by_controls = is_measured_by_controls(table, names)
    timeline = timeline_of(table)
    seconds, times_are = seconds_of(table)
    labelled = int(found.has_label.sum()) + found.unanswered
    return Figures(
        facts=facts,
        pool_ids=table.pool_ids,
        tasks=len(table.task_ids),
        controls_without_label=int((table.is_control & ~found.has_label).sum()),
        answers=len(table),
        statuses=_statuses(table),
        labelled=labelled,
        unanswered=found.unanswered,
        methods=found.methods,
        are_labels_made_here=found.are_made_here,
        is_confidence=found.is_confidence,
        sureness=np.concatenate([found.sureness[found.has_label], np.array(found.unanswered_sureness)]),
        timeline=timeline,
        money=money_of(table, labelled),
        fields=[field_figures(table, found, name, right[name], timeline) for name in names],
        left_out_fields=left_out,
        people=people_figures(
            table, names, found.codes, seconds, set(map(str, facts.restricted or ())), by_controls=by_controls
        ),
        accuracy_by="control tasks" if by_controls else "labels",
        times_are=times_are,
        doubts=least_sure(answers, table, found, names, doubts),
    )


def _field_names(answers: Any, labels: Any) -> list[str]:
    if labels is not None:
        for _, row in label_rows(labels):
            if row["output_values"]:
                return sorted(row["output_values"])
    for _, answer in AnswerSource(answers):
        if answer.output_values:
            return sorted(answer.output_values)
    return []


def _nothing(facts: PoolFacts, labelled: int | None) -> Figures:
    """Return the figures without answers; ``labelled`` is how many labels were given, if there was a file of them."""
    return Figures(
        facts=facts,
        pool_ids=(),
        tasks=0,
        controls_without_label=0,
        answers=0,
        statuses={},
        labelled=labelled or 0,
        unanswered=labelled or 0,
        methods=(DEFAULT_METHOD,) if labelled is None else (),
        are_labels_made_here=labelled is None,
        is_confidence=labelled is None,
        sureness=np.empty(0),
        timeline=None,
        money=None,
        fields=(),
        left_out_fields=(),
        people=(),
        accuracy_by="labels",
        times_are=None,
        doubts=(),
    )


def _statuses(table: AnswerTable) -> dict[str, int]:
    counts = np.bincount(table.statuses, minlength=len(STATUSES))
    return {status: int(number) for status, number in zip(STATUSES, counts, strict=True) if number}
