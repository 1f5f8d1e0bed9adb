"""Whether answers are good enough: figures beside their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.quality.agreement import krippendorff_alpha
from toloka_airflow.quality.label_rows import BY_TOLOKA, label_rows, method_of
from toloka_airflow.quality.measures import rejected_share
from toloka_airflow.quality.methods import dawid_skene_map
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toloka_airflow.quality.answer_table import AnswerTable

ONLY_SCORES = (
    "the labels have scores and no confidence: take a calibrated method, dawid_skene_map, and answers of which some "
    "can be compared, those of two people to a task or those to control tasks"
)
BY_TOLOKA_ITSELF = (
    "the confidence of the labels is that of Toloka's own aggregation, which does not say that it is calibrated: "
    "aggregate the answers by AggregateAnswersOperator, with dawid_skene_map"
)


@dataclass(frozen=True)
class Limits:
    """
    What must hold; `None` is no limit. They are explained at `QualityGateOperator`.

    :param sure_at: From which confidence a label counts as sure.
    """

    min_agreement: float | None = None
    min_confident: float | None = None
    min_answers: int | None = None
    min_tasks: int | None = None
    max_rejected: float | None = None
    sure_at: float = 0.9


@dataclass(frozen=True)
class Check:
    """
    A figure beside its limit.

    :param name: The limit's.
    :param what: What the figure is, for people.
    :param limit: What was wanted.
    :param value: The figure; `None` if it cannot be reckoned, which does not pass.
    :param is_passed: Whether it is within the limit.
    :param field: The output field, if it is about one.
    :param reason: Why there is no figure, or what there is to add.
    """

    name: str
    what: str
    limit: float
    value: float | None
    is_passed: bool
    field: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        found = "cannot be reckoned" if self.value is None else f"is {self.value:.4g}"
        more = f", as {self.reason}" if self.value is None else f" ({self.reason})" if self.reason else ""
        of_field = f" in the field {self.field!r}" if self.field else ""
        return f"{self.what}{of_field} {found}{more}; {self.name} is {self.limit:g}"

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        facts = {"limit": self.limit, "value": self.value, "passed": self.is_passed}
        return {"name": self.name, "field": self.field, **facts, **({"reason": self.reason} if self.reason else {})}


def check_quality(table: AnswerTable, fields: Sequence[str], limits: Limits, labels: Any = None) -> list[Check]:
    """
    Return all figures that are limited.

    :param labels: The file of labels, or a list of them, with their confidence; for ``min_confident`` only.
    :raises ValueError: If something is no label, or its confidence is no number.
    """
    checks = [check for field in fields for check in _of_field(table, field, limits)]
    if limits.min_tasks is not None:
        is_answered = ~table.is_control
        for field in fields:
            votes = table.votes(field)
            is_answered &= np.bincount(votes.tasks, minlength=votes.task_count) > 0
        tasks = int(is_answered.sum())
        checks.append(_at_least("min_tasks", "The number of answered tasks", limits.min_tasks, tasks))
    if limits.min_confident is not None:
        checks.append(_confident(table, limits.min_confident, limits.sure_at, labels))
    if limits.max_rejected is not None:
        rejected = rejected_share(table)
        value, limit = rejected["value"], limits.max_rejected
        passed = value is not None and value <= limit
        what = "The share of rejected assignments"
        checks.append(Check("max_rejected", what, limit, value, passed, reason=rejected.get("reason")))
    return checks


def _of_field(table: AnswerTable, field: str, limits: Limits) -> Iterator[Check]:
    votes = table.votes(field)
    if limits.min_agreement is not None:
        alpha = krippendorff_alpha(votes)
        what = "Krippendorff's alpha"
        yield _at_least("min_agreement", what, limits.min_agreement, alpha.value, field=field, reason=alpha.reason)
    if limits.min_answers is not None:
        numbers = np.bincount(votes.tasks, minlength=votes.task_count)[~table.is_control]
        least = int(numbers.min()) if len(numbers) else None
        reason = "there is no task"
        if least is not None:
            too_few = int((numbers < limits.min_answers).sum())
            reason = (
                f"{too_few} of {counted(len(numbers), 'task')} {plural(too_few, 'has', 'have')} fewer"
                if too_few
                else ""
            )
        what = "The least number of answers to a task"
        yield _at_least("min_answers", what, limits.min_answers, least, field=field, reason=reason or None)


def _at_least(name: str, what: str, limit: float, value: float | None, **more: Any) -> Check:
    return Check(name, what, limit, value, value is not None and value >= limit, **more)


def _confident(table: AnswerTable, limit: float, sure_at: float, labels: Any) -> Check:
    control = {table.task_ids[task] for task in np.flatnonzero(table.is_control).tolist()}
    is_sure = {task: False for task in table.task_ids if task not in control}
    what = f"The share of tasks whose label is at least {sure_at:g} sure"
    methods = set()
    for where, row in label_rows(labels):
        task, method = str(row["task_id"]), method_of(row)
        methods.add("a method that the labels do not name" if method is None else method)
        if "score" in row and "confidence" not in row:
            return _at_least("min_confident", what, limit, None, reason=ONLY_SCORES)
        if method is not None and method.startswith(BY_TOLOKA):
            return _at_least("min_confident", what, limit, None, reason=BY_TOLOKA_ITSELF)
        confidence = _least_confidence(where, row)
        # Labels of other tasks, perhaps of another run, say nothing about these answers.
        if task in is_sure and not row.get("is_control"):
            is_sure[task] = confidence >= sure_at
    if not is_sure:
        return _at_least("min_confident", what, limit, None, reason="there is no task")
    share = sum(is_sure.values()) / len(is_sure)
    others = ", ".join(sorted(methods - {dawid_skene_map.__name__}))
    counts = f"{sum(is_sure.values())} of {len(is_sure)}" + (f", by the confidence of {others:.200}" if others else "")
    return _at_least("min_confident", what, limit, share, reason=counts)


def _least_confidence(where: str, row: Mapping[str, Any]) -> float:
    if "confidence" not in row:
        raise ValueError(f"{where}: it has neither confidence nor score, as the labels of an aggregation have")
    given = row["confidence"]
    values = list(given.values()) if isinstance(given, Mapping) else [given]
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
            raise ValueError(f"{where}: confidence is {value!r:.100}; it must be a number from 0 to 1")
    return min((0.0 if value is None else float(value) for value in values), default=0.0)
