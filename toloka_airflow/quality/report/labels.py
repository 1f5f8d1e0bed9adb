"""The labels that a report is about: those of a file, or those that are made here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_values import plain_value
from toloka_airflow.quality.label_rows import BY_TOLOKA, label_rows, method_of
from toloka_airflow.quality.methods import DEFAULT_METHOD, METHODS
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


@dataclass
class Labels:
    """Labels of tasks: for each field an index into its values, or -1; and how sure each is."""

    values: dict[str, list[Any]]
    codes: dict[str, NDArray[np.int32]]
    sureness: NDArray[np.float64]
    has_label: NDArray[np.bool_]
    is_confidence: bool = False
    methods: tuple[str, ...] = ()
    are_made_here: bool = False
    unanswered: int = 0
    unanswered_sureness: list[float] = field(default_factory=list)


def read_labels(labels: Any, table: AnswerTable) -> Labels:
    """
    Return labels from a file; the number of a label may be called ``confidence`` or ``score``.

    What Toloka's own aggregation calls confidence counts as a score: nobody says that it is calibrated.
    """
    indices = {task_id: index for index, task_id in enumerate(table.task_ids)}
    found = Labels(
        values={name: list(each.values) for name, each in table.fields.items()},
        codes={name: np.full(len(indices), -1, np.int32) for name in table.fields},
        sureness=np.full(len(indices), np.nan),
        has_label=np.zeros(len(indices), np.bool_),
    )
    codes = {name: {_to_json(value): i for i, value in enumerate(values)} for name, values in found.values.items()}
    confidences = scores = 0
    methods = set()
    for _, row in label_rows(labels):
        methods.add(method_of(row))
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
    found.methods = tuple(sorted(method for method in methods if method is not None))
    is_by_toloka = any(method.startswith(BY_TOLOKA) for method in found.methods)
    found.is_confidence = confidences > 0 and not scores and not is_by_toloka
    return found


def _sureness(row: Mapping[str, Any]) -> float:
    """Return the confidence or score of a label; of several fields, that of the least sure."""
    number = row["confidence"] if row.get("confidence") is not None else row.get("score")
    numbers = list(number.values()) if isinstance(number, Mapping) else [number]
    known = [float(each) for each in numbers if isinstance(each, int | float) and not isinstance(each, bool)]
    return min(known, default=math.nan)


def make_labels(table: AnswerTable) -> Labels:
    """Return labels by the default method."""
    codes, sureness = {}, np.full(len(table.task_ids), np.nan)
    is_confidence = True
    for name, each in table.fields.items():
        made = METHODS[DEFAULT_METHOD](table.votes(name), each.known)
        codes[name] = made.labels
        sureness = np.fmin(sureness, np.where(made.labels >= 0, made.scores, np.nan))
        is_confidence &= made.is_confidence
    return Labels(
        values={name: list(each.values) for name, each in table.fields.items()},
        codes=codes,
        sureness=sureness,
        has_label=np.logical_or.reduce([labels >= 0 for labels in codes.values()]),
        is_confidence=is_confidence,
        methods=(DEFAULT_METHOD,),
        are_made_here=True,
    )


def right_values(table: AnswerTable, labels: Labels, name: str) -> NDArray[np.int32]:
    """Return the right value of each task: the known one of a control task, else its label; -1 if there is none."""
    known = table.fields[name].known
    right = np.where(known >= 0, known, labels.codes[name])
    # Of several that are right, none is the right one.
    right[list(table.fields[name].alternatives)] = -1
    return right.astype(np.int32)
