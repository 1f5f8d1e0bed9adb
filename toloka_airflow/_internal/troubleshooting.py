"""Where the documentation says more about an error: its address, and an anchor for each kind of mistake."""

from __future__ import annotations

import re
from typing import Literal

DOCUMENTATION = "https://airflow-toloka.readthedocs.io/en/stable/"
PAGE = f"{DOCUMENTATION}troubleshooting.html"

Topic = Literal[
    "token-refused",
    "connection-fields",
    "no-answer",
    "quota-spent",
    "not-enough-money",
    "no-such-object",
    "no-id",
    "wrong-state",
    "archived",
    "pool-not-closed",
    "pool-stopped-otherwise",
    "operation-failed",
    "timed-out",
    "no-triggerer",
    "supervisor-gone",
    "configuration",
    "refused-values",
    "arguments",
    "time-is-over",
    "window-times",
    "paths-and-files",
    "rows-and-columns",
    "invalid-tasks",
    "changed-since-the-first-attempt",
    "decisions",
    "bonuses",
    "answers-and-labels",
    "quality-gate",
    "missing-library",
    "call-not-repeated",
    "assets",
    "unexpected-answer",
]
"""The anchors of the page: its headings in lower case, with hyphens."""

_MARK = f"Help: {PAGE}#"
_LINK = rf"[ .\n]*{re.escape(_MARK)}([a-z-]+)"
_BY_PACKAGE: dict[str, Topic] = {
    "api": "arguments",
    "api.ids": "no-id",
    "api.settings": "connection-fields",
    "assets": "assets",
    "checks": "configuration",
    "hooks": "connection-fields",
    "labels": "answers-and-labels",
    "operators": "arguments",
    "operators.checked_configs": "configuration",
    "operators.creation": "configuration",
    "operators.expiry": "time-is-over",
    "operators.guards": "time-is-over",
    "quality": "answers-and-labels",
    "quality.numeric": "missing-library",
    "sensors": "arguments",
    "storage": "paths-and-files",
    "storage.config_files": "configuration",
    "storage.tables": "rows-and-columns",
    "transfer": "rows-and-columns",
    "transfer.attachments": "paths-and-files",
    "transfer.bonuses": "bonuses",
    "transfer.download": "paths-and-files",
    "transfer.download.periods": "arguments",
    "transfer.result_files": "paths-and-files",
    "transfer.review": "decisions",
    "voting": "decisions",
    "wait_sensor": "arguments",
}
"""What a `ValueError` is about that names no topic, by the module that raised it or the package it is in."""


def argument_error(text: str, topic: Topic = "arguments") -> ValueError:
    """
    Return an error about an argument that cannot be used.

    For what is found when a DAG is parsed: in a task, `task_errors` adds the link.

    :param text: What is wrong with which argument, and what to do.
    """
    return ValueError(with_link(text, topic))


def with_link(text: str, topic: Topic) -> str:
    """
    Return the text of an error with a link to the documentation at its end, and no other.

    A text that has one already, as what it quotes has, keeps that: it is about the mistake itself.
    """
    found = re.search(_LINK, text)
    anchor = found[1] if found else topic
    text = re.sub(_LINK, "", text).rstrip()
    pause = "\n" if "\n" in text else " " if text.endswith((".", "?", "!")) else ". "
    return f"{text}{pause}{_MARK}{anchor}"


def topic_of(module: str) -> Topic:
    """Return what a mistake is about that a module of this package found, by its full name."""
    name = module.removeprefix("toloka_airflow.")
    while name and name not in _BY_PACKAGE:
        name = name.rpartition(".")[0]
    return _BY_PACKAGE.get(name, "arguments")
