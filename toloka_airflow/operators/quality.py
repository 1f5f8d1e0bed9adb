"""Measure how good answers are, and stop a DAG whose answers are not good enough."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from toloka_airflow._internal.arguments import parse_share
from toloka_airflow._internal.known_arguments import check_fields, check_known, check_statuses
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow._internal.wording import counted
from toloka_airflow.hooks import task_errors
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.paths import refuse_same_file, storage_path
from toloka_airflow.storage.replacing import check_replaceable, replacing

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.quality.gate import Check, Limits

    Path = str | PathLike[str] | ObjectStoragePath

__all__ = ["MeasureQualityOperator", "QualityGateOperator"]

LONG = ("by_person", "confusion", "agreement_over_time", "least_agreed")
"""What of a field's figures is in the file only."""
MAX_SHOWN = 2000
_LIMITS = ("min_agreement", "min_confident", "min_answers", "min_tasks", "max_rejected")


class MeasureQualityOperator(BaseOperator):
    """
    Measure how good answers are: agreement, accuracy, entropy, time.

    It returns the figures of `toloka_airflow.quality.measures.measure_quality` without those by person, by task and by
    time, and without the confusion matrices; ``path`` gets all of them. A figure that cannot be reckoned is ``None``,
    beside a reason. Nothing is fetched from Toloka. It needs ``airflow-toloka[quality]``.

    :param answers: The file of answers (templated), as `GetAssignmentsOperator` writes it, or a list of them.
    :param fields: The output fields (templated).
    :param labels: A file of labels to hold the answers against, too (templated), or a list of them.
    :param path: Where to write all figures, as JSON (templated); a file that is there is replaced.
    :param statuses: The statuses of assignments whose answers count (templated).
    """

    template_fields: Sequence[str] = ("answers", "fields", "labels", "path", "statuses")

    def __init__(
        self,
        *,
        answers: RowsOrPath,
        fields: Sequence[str] | XComArg,
        labels: RowsOrPath | None = None,
        path: Path | XComArg | None = None,
        statuses: Sequence[str] | XComArg = ("SUBMITTED", "ACCEPTED"),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.answers: Any = answers
        self.fields = as_rendered(fields)
        self.labels: Any = labels
        self.path = as_rendered(path)
        self.statuses = as_rendered(statuses)
        check_known(self, fields=check_fields, statuses=check_statuses)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the answers, and return the figures."""
        with task_errors():
            target = None if self.path is None else storage_path("path", self.path)
            if target is not None:
                check_replaceable(target)
                refuse_same_file(target, answers=self.answers, labels=self.labels)
            # Here, as a DAG that is only parsed needs no numpy.
            from toloka_airflow.quality.measures import measure_quality

            figures = measure_quality(self.answers, fields=self.fields, labels=self.labels, statuses=self.statuses)
            if target is not None:
                with replacing(target) as file:
                    file.write(compact_json(figures, allow_nan=False).encode())
                report_written(target)
        short = {
            **figures,
            "fields": {
                name: {key: value for key, value in of_field.items() if key not in LONG}
                for name, of_field in figures["fields"].items()
            },
        }
        for name, of_field in short["fields"].items():
            alpha = of_field["alpha"]
            self.log.info(
                "Field %s: %s on %s, Krippendorff's alpha %s, accuracy on control tasks %s",
                name,
                counted(of_field["votes"], "vote"),
                counted(of_field["tasks"], "task"),
                _shown(alpha),
                _shown(of_field["accuracy"]["known"]),
            )
        return short if target is None else {**short, "path": str(target)}


class QualityGateOperator(BaseOperator):
    """
    Run what is behind this task only if the answers are good enough.

    All limits that are given must hold, for each field; at least one must be given. A figure that cannot be reckoned,
    such as agreement where no task has two answers, holds no limit. The task fails without a retry, as the same answers
    give the same figures; or it is skipped, and what comes behind it. All figures are in the message, in the XCom
    ``figures``, and in the events of the assets among its outlets, which Airflow sends if it passes.

    It returns the figures: ``{"passed", "checks"}``, each check with ``name``, ``field``, ``limit``, ``value``,
    ``passed`` and perhaps a ``reason``. It needs ``airflow-toloka[quality]``.

    :param answers: The file of answers (templated), as `GetAssignmentsOperator` writes it, or a list of them. Download
        rejected ones, too, for ``max_rejected``.
    :param fields: The output fields (templated).
    :param labels: The file of labels that ``min_confident`` is about (templated), as `AggregateAnswersOperator` writes
        it with a calibrated method. With labels that only have a score, or the confidence of Toloka's own aggregation,
        the limit does not hold.
    :param min_agreement: Krippendorff's alpha must be at least this (templated), up to 1.
    :param min_confident: At least this share of the tasks must have a sure label (templated). Control tasks do not
        count, nor do labels of tasks that are not among the answers; a task without a label is not sure.
    :param sure_at: From which confidence a label is sure (templated).
    :param min_answers: Each task but control tasks must have this many answers that count (templated). A task that
        nobody has answered is not in the file: ``min_tasks`` is for those.
    :param min_tasks: This many tasks must have an answer that counts, in each field (templated); control tasks do not
        count.
    :param max_rejected: At most this share of the submitted assignments may be rejected (templated).
    :param on_failure: ``fail`` or ``skip``.
    :param statuses: The statuses of assignments whose answers count (templated).
    """

    template_fields: Sequence[str] = ("answers", "fields", "labels", *_LIMITS, "sure_at", "statuses")

    def __init__(
        self,
        *,
        answers: RowsOrPath,
        fields: Sequence[str] | XComArg,
        labels: RowsOrPath | None = None,
        min_agreement: float | str | XComArg | None = None,
        min_confident: float | str | XComArg | None = None,
        sure_at: float | str | XComArg = 0.9,
        min_answers: int | str | XComArg | None = None,
        min_tasks: int | str | XComArg | None = None,
        max_rejected: float | str | XComArg | None = None,
        on_failure: str = "fail",
        statuses: Sequence[str] | XComArg = ("SUBMITTED", "ACCEPTED"),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_failure not in ("fail", "skip"):
            raise argument_error(f"on_failure is {on_failure!r}; it must be 'fail' or 'skip'", "quality-gate")
        given = zip(_LIMITS, (min_agreement, min_confident, min_answers, min_tasks, max_rejected), strict=True)
        self._given = [name for name, limit in given if limit is not None]
        if not self._given:
            raise argument_error(
                f"A gate without a limit lets everything pass; give one of {', '.join(_LIMITS)}", "quality-gate"
            )
        if min_confident is not None and labels is None:
            raise argument_error(
                "labels is None; min_confident is about the confidence of labels, so say where they are", "quality-gate"
            )
        self.answers: Any = answers
        self.fields = as_rendered(fields)
        self.labels: Any = labels
        self.min_agreement = as_rendered(min_agreement)
        self.min_confident = as_rendered(min_confident)
        self.sure_at = as_rendered(sure_at)
        self.min_answers = as_rendered(min_answers)
        self.min_tasks = as_rendered(min_tasks)
        self.max_rejected = as_rendered(max_rejected)
        self.on_failure = on_failure
        self.statuses = as_rendered(statuses)
        check_known(
            self,
            fields=check_fields,
            statuses=check_statuses,
            min_agreement=_parse_alpha,
            min_confident=_parse,
            sure_at=parse_share,
            min_answers=_parse_count,
            min_tasks=_parse_count,
            max_rejected=_parse,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Reckon the figures and hold them against their limits."""
        with task_errors():
            from toloka_airflow.quality.answers import read_answers
            from toloka_airflow.quality.gate import check_quality

            limits = self._limits()
            table = read_answers(self.answers, fields=self.fields, statuses=self.statuses)
            checks = check_quality(table, list(dict.fromkeys(self.fields)), limits, self.labels)
        figures: dict[str, Any] = {
            "passed": all(check.is_passed for check in checks),
            "checks": [check.as_json() for check in checks],
        }
        context["ti"].xcom_push(key="figures", value=figures)
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra.update(figures)
        if not figures["passed"]:
            if self.on_failure == "skip":
                raise AirflowSkipException(_message(checks))
            raise AirflowFailException(with_link(_message(checks), "quality-gate"))
        self.log.info("The answers are good enough: %s", ". ".join(map(str, checks)))
        return figures

    def _limits(self) -> Limits:
        from toloka_airflow.quality.gate import Limits

        for name in self._given:
            if getattr(self, name) is None:
                raise ValueError(f"{name} is None: a template or an upstream task gave no limit")
        return Limits(
            min_agreement=_parse_alpha("min_agreement", self.min_agreement),
            min_confident=_parse("min_confident", self.min_confident),
            min_answers=_parse_count("min_answers", self.min_answers),
            min_tasks=_parse_count("min_tasks", self.min_tasks),
            max_rejected=_parse("max_rejected", self.max_rejected),
            sure_at=parse_share("sure_at", self.sure_at),
        )


def _parse(name: str, value: object) -> float | None:
    return None if value is None else parse_share(name, value)


def _parse_alpha(name: str, value: object) -> float | None:
    if value is None:
        return None
    try:
        number = float(str(value)) if not isinstance(value, bool) else 2.0
    except ValueError:
        number = 2.0
    if not -1 <= number <= 1:
        raise ValueError(f"{name} is {value!r:.100}; Krippendorff's alpha is a number from -1 to 1")
    return number


def _parse_count(name: str, value: object) -> int | None:
    if value is None:
        return None
    text = "" if isinstance(value, bool) else str(value).strip()
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"{name} is {value!r:.100}; it must be a whole number of 1 or more")
    return int(text)


def _message(checks: Sequence[Check]) -> str:
    failed = [str(check) for check in checks if not check.is_passed]
    passed = [str(check) for check in checks if check.is_passed]
    held = f". These limits hold: {'. '.join(passed)}" if passed else ""
    return f"The answers are not good enough. {'. '.join(failed)}{held}"[:MAX_SHOWN]


def _shown(figure: dict[str, Any]) -> str:
    return f"unknown ({figure['reason']})" if figure["value"] is None else f"{figure['value']:.3f}"
