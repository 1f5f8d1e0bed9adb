"""What is checked, by its short names: warnings, which can be switched off, and errors."""

from __future__ import annotations

from toloka_airflow.checks import names, relations, sense, structure, task_values

WARNINGS: dict[str, str] = {
    **structure.WARNINGS,
    **names.WARNINGS,
    **relations.WARNINGS,
    **sense.WARNINGS,
    **task_values.WARNINGS,
}
"""The warnings that can be switched off, and what each is about."""

ERRORS: dict[str, str] = {
    # one file
    "unreadable": "a file that is no JSON or YAML, or has a key twice in one object",
    "unknown-file": "a file of which no key says whether it is a project, a pool or a training",
    "missing-key": "a key that the API requires",
    "unknown-key": "a key that the API does not know, and near to one that it knows",
    "misplaced-key": "a key that belongs to another object",
    "wrong-type": "a number that is text, one object where a list is needed, and the like",
    "wrong-form": "text that is no date, no id, or another thing that has a form",
    "out-of-range": "a number that is too large or too small, a list that is too short or too long",
    "unknown-value": "a value that is none of those that the API has",
    "wrong-operator": "an operator that the key of a condition or filter does not have",
    "not-of-collector": "a condition or a parameter that its collector does not have",
    "reward": "a reward that is less than Toloka's smallest",
    "interval": "intervals of dynamic pricing that overlap or end before they begin",
    "limits": "a smallest value of a field that is greater than its greatest",
    "input-file": "a field of the input that is a file: only people upload files",
    "allowed-value": "an allowed value that is none of the field's type",
    "template-config": "an interface of Template Builder that is no JSON, or has no view",
    "template-ref": "a reference in the interface that leads nowhere",
    "template-type": "a component of Template Builder that does not exist, near to one that does",
    # files together
    "expired": "a date of expiry that is in the past",
    "mixer-missing": "single tasks for a pool without a mixer",
    "mixer-empty": "a mixer whose pages have no tasks",
    "mixer-minimum": "a mixer that requires more tasks on a page than the page has",
    "zero-reward": "a pool that pays nothing, though some of its tasks are neither control nor training tasks",
    "dynamic-overlap-delay": "a dynamic overlap in a pool that closes as soon as it is complete",
    "dynamic-overlap-field": "a dynamic overlap by a field that the project's output does not have",
    "dynamic-overlap-max": "a dynamic overlap whose greatest overlap is less than the first",
    "training-requirement": "a requirement of a training that is not there",
    "training-tasks": "pages of a training with more tasks than there are",
    # tasks
    "task-file": "a file of tasks that cannot be read, or has columns that are none",
    "task-unreadable": "a row that is no task",
    "no-tasks": "a file without tasks",
    "task-key": "a key of a task that is misspelt, or has a value that is none",
    "task-overlap": "an overlap that is missing, out of range, or infinite and finite at once",
    "task-size": "a task that is larger than the API takes",
    "unknown-field": "a field of a task that the project does not have",
    "required-field": "a field that the project requires, and a task does not have",
    "field-type": "a value that is not of its field's type",
    "field-range": "a value that is out of its field's range, or none of those that the field allows",
    "field-pattern": "a value that does not match its field's pattern",
}
"""The errors, which cannot be switched off, and what each is about."""
