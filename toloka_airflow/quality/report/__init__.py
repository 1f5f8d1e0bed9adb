"""
A report of answers and labels, for people: one HTML file, with charts, tables and what its figures mean.

Inputs and answers are other people's text. `drawing` and `template.html` escape all text, only images within the text
itself (``data:``) are shown, and the page's own policy allows no script and no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from toloka_airflow.quality.report.figures import PoolFacts, read_figures
from toloka_airflow.quality.report.page import render

__all__ = ["build_report"]


def build_report(
    answers: Any,
    labels: Any = None,
    *,
    fields: Sequence[str] | None = None,
    facts: PoolFacts | None = None,
    title: str | None = None,
    made: datetime | None = None,
    currency: str = "$",
) -> str:
    """
    Return a report as HTML, in one file that needs no other.

    It is some 200 kB and the images of its 24 tasks, for any number of answers; memory is that of `read_answers`.

    :param answers: The path of a file of answers, or a list of rows, as for
        `toloka_airflow.quality.answers.read_answers`. It is read twice.
    :param labels: The path of a file of labels (JSON Lines), or a list of them: objects with ``task_id``,
        ``output_values`` and ``confidence`` or ``score``. Without it, labels are made by ``dawid_skene_map``.
    :param fields: The output fields; those of the labels by default, or of the first answer.
    :param facts: What Toloka knows beside the answers.
    :param title: The heading; by default the names of project and pool.
    :param made: When it is made; now, by default.
    :param currency: What stands before an amount; amounts of Yandex Tasks have other currencies.
    :raises ValueError: If an argument cannot be used, or something cannot be read.
    """
    figures = read_figures(answers, labels, fields=fields, facts=facts)
    return render(figures, title=title, made=made or datetime.now(UTC), currency=currency)
