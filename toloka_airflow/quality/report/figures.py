"""The figures of a report, from answers and labels; how they are shown is in `toloka_airflow.quality.report.page`."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow.quality.answer_files import AnswerSource
from toloka_airflow.quality.answer_values import plain_value
from toloka_airflow.quality.answers import STATUSES, AnswerTable, read_answers
from toloka_airflow.quality.measures import krippendorff_alpha, label_rows, vote_agreement, wilson_interval
from toloka_airflow.quality.methods import DEFAULT_METHOD, METHODS
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report.charts import STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURE_AT = 0.9
MOST_SPANS = 48
MOST_LABELS = 12
"""Rows and columns of a confusion matrix; the last one stands for all others."""
MOST_FIELDS = 6
"""Output fields; a file may have thousands, of which each takes the time and memory of all answers."""
TIMES = 0.0, 32503680000.0
"""Submissions before 1970 or after 3000 are mistakes; on an axis of time they would leave nothing of the others."""
MOST_DOTS = 400
"""Dots of people; more people are put together where they are near each other."""
ENOUGH_CONTROLS = 5
"""Answers to control tasks of a person, on average, from which on accuracy is measured by these alone."""
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


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


@dataclass(frozen=True)
class Money:
    """
    What answers cost, in the currency of the account, without Toloka's fee.

    :param spent: Rewards of accepted assignments.
    :param committed: Rewards of submitted ones, which are neither accepted nor rejected yet.
    :param rejected: What would have been paid for rejected ones.
    :param per_label: What is spent and committed, for each task with a label; ``None`` without one.
    :param unknown: How many assignments have no known reward.
    """

    spent: float
    committed: float
    rejected: float
    per_label: float | None
    unknown: int


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


@dataclass(frozen=True)
class PersonFigures:
    """
    How one person did.

    :param right: Votes that were right, of ``compared``, in all fields together.
    :param interval: Wilson's 95 % interval of the accuracy; ``None`` if nothing was compared.
    :param seconds: Median time of an answer; ``None`` if unknown.
    """

    id: str
    answers: int
    right: int
    compared: int
    interval: tuple[float, float] | None
    seconds: float | None
    is_banned: bool

    @property
    def accuracy(self) -> float | None:
        """Return the share of right votes."""
        return self.right / self.compared if self.compared else None


def least_accurate(person: PersonFigures) -> tuple[float, str]:
    """Return what people are sorted by, so that those come first of whom it is surest that they are not accurate."""
    return (2.0 if person.interval is None else person.interval[1]), person.id


@dataclass(frozen=True)
class Vote:
    """One of the values that a task was given."""

    value: Any
    people: tuple[str, ...]
    is_label: bool
    is_known: bool


@dataclass(frozen=True)
class Doubt:
    """
    A task whose label is among the least sure.

    :param sureness: The confidence or score of its label.
    :param inputs: Its input values, if they are known.
    :param votes: For each field, what was answered, the most frequent value first.
    """

    task_id: str
    sureness: float
    inputs: Mapping[str, Any] | None
    votes: Mapping[str, Sequence[Vote]]


@dataclass(frozen=True, eq=False)
class Figures:
    """
    All figures of a report.

    :param labelled: How many tasks have a label.
    :param method: What made the labels here; ``None`` if they were given.
    :param is_confidence: Whether the number of a label is calibrated.
    :param sureness: Of every label: its confidence or score.
    :param accuracy_by: What people's accuracy is measured by: ``control tasks`` or ``labels``.
    :param times_are: ``page``: begun to submitted; ``gap``: from one submission to the next; ``None``: unknown.
    """

    facts: PoolFacts
    pool_ids: Sequence[str]
    tasks: int
    control_tasks: int
    answers: int
    statuses: Mapping[str, int]
    labelled: int
    method: str | None
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
        lines = [f"{self.answers:,} answers of {len(self.people):,} people to {self.tasks:,} tasks"]
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


@dataclass
class _Labels:
    """Labels of tasks: for each field an index into its values, or -1; and how sure each is."""

    values: dict[str, list[Any]]
    codes: dict[str, NDArray[np.int32]]
    sureness: NDArray[np.float64]
    has_label: NDArray[np.bool_]
    is_confidence: bool = False
    method: str | None = None
    unanswered: int = 0
    unanswered_sureness: list[float] = field(default_factory=list)


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
    found = _made_labels(table) if labels is None else _read_labels(labels, table)
    right = {name: _right(table, found, name) for name in names}
    by_controls = _is_measured_by_controls(table, names)
    timeline = _timeline(table)
    seconds, times_are = _seconds(table)
    return Figures(
        facts=facts,
        pool_ids=table.pool_ids,
        tasks=len(table.task_ids),
        control_tasks=int(table.is_control.sum()),
        answers=len(table),
        statuses=_statuses(table),
        labelled=int(found.has_label.sum()) + found.unanswered,
        method=found.method,
        is_confidence=found.is_confidence,
        sureness=np.concatenate([found.sureness[found.has_label], np.array(found.unanswered_sureness)]),
        timeline=timeline,
        money=_money(table, int(found.has_label.sum()) + found.unanswered),
        fields=[_field_figures(table, found, name, right[name], timeline) for name in names],
        left_out_fields=left_out,
        people=_people(table, names, right, seconds, set(map(str, facts.restricted or ())), by_controls=by_controls),
        accuracy_by="control tasks" if by_controls else "labels",
        times_are=times_are,
        doubts=_doubts(answers, table, found, names, doubts),
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
        control_tasks=0,
        answers=0,
        statuses={},
        labelled=labelled or 0,
        method=DEFAULT_METHOD if labelled is None else None,
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


def _read_labels(labels: Any, table: AnswerTable) -> _Labels:
    """Return labels from a file; the number of a label may be called ``confidence`` or ``score``."""
    indices = {task_id: index for index, task_id in enumerate(table.task_ids)}
    found = _Labels(
        values={name: list(each.values) for name, each in table.fields.items()},
        codes={name: np.full(len(indices), -1, np.int32) for name in table.fields},
        sureness=np.full(len(indices), np.nan),
        has_label=np.zeros(len(indices), np.bool_),
    )
    codes = {name: {_to_json(value): i for i, value in enumerate(values)} for name, values in found.values.items()}
    confidences = scores = 0
    for _, row in label_rows(labels):
        confidences += row.get("confidence") is not None
        scores += row.get("score") is not None
        sureness = _sureness(row)
        index = indices.get(str(row["task_id"]))
        if index is None:
            found.unanswered += 1
            found.unanswered_sureness.append(sureness)
            continue
        found.has_label[index], found.sureness[index] = True, sureness
        for name, known in codes.items():
            value = plain_value(row["output_values"].get(name))
            if value is not None:
                text = _to_json(value)
                if text not in known:
                    known[text] = len(known)
                    found.values[name].append(value)
                found.codes[name][index] = known[text]
    found.is_confidence = confidences > 0 and not scores
    return found


def _sureness(row: Mapping[str, Any]) -> float:
    """Return the confidence or score of a label; of several fields, that of the least sure."""
    number = row["confidence"] if row.get("confidence") is not None else row.get("score")
    numbers = list(number.values()) if isinstance(number, Mapping) else [number]
    known = [float(each) for each in numbers if isinstance(each, int | float) and not isinstance(each, bool)]
    return min(known, default=math.nan)


def _made_labels(table: AnswerTable) -> _Labels:
    codes, sureness = {}, np.full(len(table.task_ids), np.nan)
    is_confidence = True
    for name, each in table.fields.items():
        made = METHODS[DEFAULT_METHOD](table.votes(name), each.known)
        codes[name] = made.labels
        sureness = np.fmin(sureness, np.where(made.labels >= 0, made.scores, np.nan))
        is_confidence &= made.is_confidence
    return _Labels(
        values={name: list(each.values) for name, each in table.fields.items()},
        codes=codes,
        sureness=sureness,
        has_label=np.logical_or.reduce([labels >= 0 for labels in codes.values()]),
        is_confidence=is_confidence,
        method=DEFAULT_METHOD,
    )


def _right(table: AnswerTable, labels: _Labels, name: str) -> NDArray[np.int32]:
    """Return the right value of each task: the known one of a control task, else its label; -1 if there is none."""
    known = table.fields[name].known
    right = np.where(known >= 0, known, labels.codes[name])
    # Of several that are right, none is the right one.
    right[list(table.fields[name].alternatives)] = -1
    return right.astype(np.int32)


def _statuses(table: AnswerTable) -> dict[str, int]:
    counts = np.bincount(table.statuses, minlength=len(STATUSES))
    return {status: int(number) for status, number in zip(STATUSES, counts, strict=True) if number}


def _timeline(table: AnswerTable) -> Timeline | None:
    known = np.flatnonzero(_is_in_time(table.submitted))
    if not len(known):
        return None
    times = table.submitted[known]
    first, last = float(times.min()), float(times.max())
    step = next((step for step in STEPS if (last - first) / step < MOST_SPANS - 1), None)
    step = step or math.ceil((last - first) / (MOST_SPANS - 1) / STEPS[-1]) * STEPS[-1]
    start = math.floor(first / step) * step
    spans = int((last - start) // step) + 1
    spans_of = ((times - start) // step).astype(np.int64)
    codes = table.statuses[known].astype(np.int64)
    counts = np.bincount(codes * spans + spans_of, minlength=len(STATUSES) * spans)
    by_status = dict(zip(STATUSES, counts.reshape(len(STATUSES), spans), strict=True))
    return Timeline(start, step, {status: each.tolist() for status, each in by_status.items() if each.any()})


def _is_in_time(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    # Also false for what is not known.
    return (times >= TIMES[0]) & (times < TIMES[1])


def _money(table: AnswerTable, labelled: int) -> Money | None:
    if not len(table) or not np.isfinite(table.rewards).any():
        return None
    # An assignment is accepted or rejected as a whole.
    statuses = np.full(len(table.assignment_ids), -1, np.int8)
    statuses[table.assignments] = table.statuses
    rewards = np.nan_to_num(table.rewards)
    sums = {status: float(rewards[statuses == code].sum()) for code, status in enumerate(STATUSES)}
    spent, committed = sums["ACCEPTED"], sums["SUBMITTED"]
    return Money(
        spent=spent,
        committed=committed,
        rejected=sums["REJECTED"],
        per_label=(spent + committed) / labelled if labelled else None,
        unknown=int(np.isnan(table.rewards).sum()),
    )


def _field_figures(
    table: AnswerTable, labels: _Labels, name: str, right: NDArray[np.int32], timeline: Timeline | None
) -> FieldFigures:
    votes = table.votes(name)
    compared = right[votes.tasks] >= 0
    pairs = right[votes.tasks][compared], votes.labels[compared]
    values, matrix, others = _confusion(labels.values[name], *pairs)
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


def _confusion(
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
    kept = _is_in_time(times) & np.isfinite(agreement)
    spans_of = ((times[kept] - timeline.start) // timeline.step).astype(np.int64)
    counts = np.bincount(spans_of, minlength=timeline.spans)
    sums = np.bincount(spans_of, agreement[kept], minlength=timeline.spans)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


def _is_measured_by_controls(table: AnswerTable, names: Sequence[str]) -> bool:
    number = sum(int((table.fields[name].known[table.votes(name).tasks] >= 0).sum()) for name in names)
    return number > 0 and number >= ENOUGH_CONTROLS * len(table.person_ids) * len(names)


def _seconds(table: AnswerTable) -> tuple[NDArray[np.float64], str | None]:
    """
    Return what each answer took, and how that is known.

    A file that does not say when a page was begun has only the time since the previous submission of the person.
    """
    if np.isfinite(table.seconds).any():
        return table.seconds, "page"
    pages = np.bincount(table.assignments, minlength=len(table.assignment_ids))
    people = np.zeros(len(table.assignment_ids), np.int32)
    submitted = np.full(len(table.assignment_ids), np.nan)
    people[table.assignments], submitted[table.assignments] = table.people, table.submitted
    by_person = np.lexsort((submitted, people))
    gaps = np.full(len(by_person), np.nan)
    is_same = people[by_person][1:] == people[by_person][:-1]
    gaps[by_person[1:][is_same]] = np.diff(submitted[by_person])[is_same]
    seconds = (gaps / np.maximum(pages, 1))[table.assignments]
    return seconds, "gap" if np.isfinite(seconds).any() else None


def _people(
    table: AnswerTable,
    names: Sequence[str],
    right: Mapping[str, NDArray[np.int32]],
    seconds: NDArray[np.float64],
    restricted: Collection[str],
    *,
    by_controls: bool,
) -> list[PersonFigures]:
    """Return how everybody did, the least accurate first."""
    number = len(table.person_ids)
    hits, compared = np.zeros(number, np.int64), np.zeros(number, np.int64)
    for name in names:
        votes = table.votes(name)
        expected = (table.fields[name].known if by_controls else right[name])[votes.tasks]
        compared += np.bincount(votes.people[expected >= 0], minlength=number)
        hits += np.bincount(votes.people[(expected >= 0) & (expected == votes.labels)], minlength=number)
    answers = np.bincount(table.people, minlength=number)
    medians = _medians(table.people, seconds, number)
    people = [
        PersonFigures(
            id=person,
            answers=int(answers[i]),
            right=int(hits[i]),
            compared=int(compared[i]),
            interval=wilson_interval(int(hits[i]), int(compared[i])),
            seconds=None if math.isnan(medians[i]) else float(medians[i]),
            is_banned=person in restricted,
        )
        for i, person in enumerate(table.person_ids)
    ]
    return sorted(people, key=least_accurate)


def _medians(groups: NDArray[np.int32], values: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return the median of each group's values that are known; nan if none is."""
    known = np.isfinite(values)
    sorted_by = np.lexsort((values[known], groups[known]))
    values, sizes = values[known][sorted_by], np.bincount(groups[known], minlength=number)
    medians = np.full(number, np.nan)
    some = np.flatnonzero(sizes)
    first = (np.cumsum(sizes) - sizes)[some]
    low, high = first + (sizes[some] - 1) // 2, first + sizes[some] // 2
    medians[some] = (values[low] + values[high]) / 2
    return medians


def _doubts(answers: Any, table: AnswerTable, labels: _Labels, names: Sequence[str], most: int) -> list[Doubt]:
    """Describe the least sure tasks; what nobody answered is not among them, as there is nothing to show."""
    with_label = np.flatnonzero(labels.has_label & np.isfinite(labels.sureness))
    least = with_label[np.argsort(labels.sureness[with_label], kind="stable")][:most].tolist()
    inputs = _inputs(answers, {table.task_ids[task] for task in least})
    first, last = (np.searchsorted(table.tasks, least, side) for side in ("left", "right"))
    return [
        Doubt(
            task_id=table.task_ids[task],
            sureness=float(labels.sureness[task]),
            inputs=inputs.get(table.task_ids[task]),
            votes={name: _votes_of(table, labels, name, task, range(a, b)) for name in names},
        )
        for task, a, b in zip(least, first.tolist(), last.tolist(), strict=True)
    ]


def _votes_of(table: AnswerTable, labels: _Labels, name: str, task: int, rows: range) -> list[Vote]:
    """Return what was answered to a task, also what does not count, and its label if nobody gave that."""
    each = table.fields[name]
    people: dict[int, list[str]] = {}
    for row in rows:
        if each.labels[row] >= 0:
            status = STATUSES[table.statuses[row]]
            note = "" if status in table.counted else f" ({status.lower()})"
            people.setdefault(int(each.labels[row]), []).append(table.person_ids[table.people[row]] + note)
    known = {int(each.known[task]), *each.alternatives.get(task, ())}
    label = int(labels.codes[name][task])
    if label >= 0:
        people.setdefault(label, [])
    ordered = sorted(people.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Vote(labels.values[name][i], tuple(who), i == label, i in known) for i, who in ordered]


def _inputs(answers: Any, task_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return the input values of some tasks, reading the answers as far as needed."""
    found: dict[str, Mapping[str, Any]] = {}
    if not task_ids:
        return found
    for _, answer in AnswerSource(answers):
        task_id = str(answer.task_id)
        if task_id in task_ids and task_id not in found:
            found[task_id] = _plain_inputs(answer.input_values)
            if len(found) == len(task_ids):
                break
    return found


def _plain_inputs(values: Any) -> Mapping[str, Any]:
    # What is not there is an empty text.
    try:
        read = json.loads(bytes(values) or b"null") if isinstance(values, msgspec.Raw) else values
        if isinstance(read, str):  # of Parquet
            read = json.loads(read)
    except RecursionError:
        read = None
    return read if isinstance(read, Mapping) else {}
