"""
Configurations of operators, checked when the DAG is parsed, and again before they are sent.

When the DAG is parsed, what comes from templates and other tasks is not known yet, nor may a file be there. So the task
checks what it will send itself, and fails before anything is sent.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import literal

from toloka_airflow._internal.airflow_internals import is_unmapped
from toloka_airflow._internal.known_arguments import TEMPLATES, is_in_task_process
from toloka_airflow._internal.literals import argument_lines
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow._internal.wording import plural
from toloka_airflow.api.models import read_date
from toloka_airflow.storage.config_files import read_config, read_config_with_lines
from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.paths import local_path, storage_path

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from toloka_airflow.checks import Document, Problem
    from toloka_airflow.checks.documents import Kind

_LITERAL = type(literal(None))
_A_DATE = "2030-01-01T00:00:00"


class ConfigCheckMixin:
    """
    For an operator that has a configuration among its arguments.

    Its constructor takes ``check_config``, by `is_wanted`, and calls `_check_when_parsed` in the end; its task reads
    the configuration by `_read_checked`, or by `_read`, and checks it by `_check` before it sends it.
    """

    noun: ClassVar[Kind]
    """What it is a configuration of."""
    config_name: ClassVar[str] = "config"
    """The argument: all of a configuration, or ``changes``, which are merged into one."""
    config_ignored: ClassVar[Collection[str]] = ()
    """Keys that are not sent."""
    check_config: bool

    if TYPE_CHECKING:
        task_id: str
        template_ext: Sequence[str]

    def _given(self) -> Collection[str]:
        """Return the keys that other arguments add to the configuration."""
        return ()

    def _check_when_parsed(self) -> None:
        """
        Check what is known of the configuration already.

        A task process, which parses the DAG too, leaves this out: a file that was changed since the run began must not
        keep the other tasks of the run, such as the one that closes the pool, from running.

        :raises ValueError: If there is a mistake in it, with file, line and path.
        """
        if not self.check_config or is_in_task_process() or is_unmapped(self):
            return
        config = getattr(self, self.config_name)
        config = config.value if isinstance(config, _LITERAL) else config
        if isinstance(config, Mapping):
            if problems := self._known_errors_in(self._document(config)):
                self._refuse(self._placed(problems))
        elif (path := self._present_file(config)) is not None:
            try:
                document = self._document(path)
            except ValueError as exc:
                raise argument_error(str(exc), "configuration") from exc
            self._refuse(self._known_errors_in(document))

    def _read_checked(self) -> dict[str, Any]:
        """
        Return the configuration when the task runs.

        :raises ValueError: If there is no such file or no such content in it, or a mistake.
        """
        document = self._read()
        self._check(document)
        return dict(document.value)

    def _read(self) -> Document:
        """
        Return the configuration when the task runs, not checked yet.

        :raises ValueError: If there is no such file or no such content in it.
        """
        from toloka_airflow.checks import Document

        config = getattr(self, self.config_name)
        if not self.check_config or not config or isinstance(config, Mapping):
            return Document(self.noun, read_config(self.config_name, config))
        document = self._document(config)
        report_read(storage_path(self.config_name, config))
        return document

    def _check(self, document: Document) -> None:
        """
        Check what is about to be sent.

        :raises ValueError: If there is a mistake in it.
        """
        if self.check_config:
            self._refuse(self._errors_in(document))

    def _present_file(self, config: Any) -> Path | None:
        path = local_path(config)
        text = str(path)
        # What a subclass has among its `template_ext` is a template itself.
        if path is None or any(sign in text for sign in TEMPLATES) or text.endswith(tuple(self.template_ext)):
            return None
        try:
            with path.open("rb"):
                return path
        except (OSError, ValueError):
            return None  # Where the task runs, it may be there.

    def _document(self, config: Any) -> Document:
        from toloka_airflow.checks import Document

        if isinstance(config, Mapping):
            return Document(self.noun, config)
        value, lines = read_config_with_lines(self.config_name, config)
        return Document(self.noun, value, str(config), lines)

    def _known_errors_in(self, document: Document) -> list[Problem]:
        """Return the errors that are certain already: a class of the author's may still add what is missing."""
        problems = self._errors_in(document)
        if _is_ours(type(self).__module__):
            return problems
        return [problem for problem in problems if problem.rule != "missing-key"]

    def _errors_in(self, document: Document) -> list[Problem]:
        from toloka_airflow.checks import check_config

        value = {key: value for key, value in _without_none(document.value).items() if key not in self.config_ignored}
        if read_date(value.get("will_expire")):
            value["will_expire"] = _A_DATE  # The operators take all that is one, with a zone too.
        problems = check_config(replace(document, value=value), self._given())
        if self.config_name == "changes":
            problems = [problem for problem in problems if not _is_in_what_is_merged(problem)]
        return problems

    def _refuse(self, problems: Sequence[Problem]) -> None:
        if problems:
            mistakes = plural(len(problems), "a mistake", f"{len(problems)} mistakes")
            raise argument_error(
                f"{self.config_name} of task {self.task_id} has {mistakes} (check_config=False would leave this "
                "check out):\n" + "\n".join(map(str, problems)),
                "configuration",
            )

    def _placed(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return problems with their lines in the file of the DAG; as they are, if nobody knows where that is."""
        from toloka_airflow.checks import Document

        frame = sys._getframe(1)
        while _is_not_the_authors(frame) or frame.f_locals.get("self") is self:
            if frame.f_back is None:
                return list(problems)
            frame = frame.f_back
        file = frame.f_code.co_filename
        linecache.checkcache(file)
        source = "".join(linecache.getlines(file, frame.f_globals))
        lines = argument_lines(source, frame.f_lineno, self.config_name)
        document = Document(self.noun, {}, file, lines)
        return [document.problem(problem.rule, problem.path, problem.message, problem.level) for problem in problems]


def is_wanted(check_config: bool | None) -> bool:
    """Return whether to check, by the argument of an operator; ``None`` for the option of that name in ``[toloka]``."""
    return conf.getboolean("toloka", "check_config", fallback=True) if check_config is None else check_config


def _is_not_the_authors(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return _is_ours(module) or module.partition(".")[0] == "airflow"


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "toloka_airflow"


def _without_none(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without ``None``, which is as good as nothing; in changes it removes what there was."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _without_none(value)
        return [kept(item) for item in value] if isinstance(value, list | tuple) else value

    return {key: kept(value) for key, value in config.items() if value is not None}


def _is_in_what_is_merged(problem: Problem) -> bool:
    """Return whether a problem is that a key is missing, in an object that is merged into one that has it."""
    return problem.rule == "missing-key" and not any(isinstance(key, int) for key in problem.path)
