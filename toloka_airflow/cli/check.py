"""
``airflow-toloka check``: find the mistakes in configurations and files of tasks.

One line per problem, as compilers have it, and a summary; or JSON:

.. code-block:: text

    {"errors": 1, "warnings": 0, "problems": [{"level": "error", "rule": "unknown-key", "file": "pool.yaml", "line": 7,
      "path": ["mixer_config", "golden_task_count"], "message": "...", "count": 1}]}
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow._internal.wording import plural
from toloka_airflow.cli.config_files import add_files, named_files
from toloka_airflow.cli.progress import shown_progress

if TYPE_CHECKING:
    from toloka_airflow.checks import Problem

EPILOG = """\
exit codes:
  0  no errors; with --strict, no warnings either
  1  there are some
  2  the check could not be made, such as for want of a file

examples:
  airflow-toloka check project.yaml pool.yaml training.yaml tasks.csv
  airflow-toloka check --pool exam.json --off single-overlap,no-quality-rule
  airflow-toloka check --json pool.yaml | jq .errors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(
        parser,
        description=(
            "Find the mistakes in a project, a pool and a training (JSON, YAML) and a file of tasks (CSV, TSV, JSON,\n"
            "JSON Lines, Parquet): each by itself, and all that are given together. Nothing is sent anywhere."
        ),
        epilog=EPILOG,
        files_help="one of each kind at most, in any order; its content says what it is",
        when_named="if its content does not show that",
    )
    add = parser.add_argument
    add("--off", action="append", default=[], metavar="NAME", help="leave out a warning, or several with commas")
    add("--min-pay-per-hour", type=_above_zero, metavar="USD", help="warn if people earn less in an hour")
    add("--seconds-per-page", type=_above_zero, metavar="N", help="how long people take (default: as long as they may)")
    add("--strict", action="store_true", help="fail for warnings too")
    add("--json", action="store_true", help="print one JSON object with `errors`, `warnings` and `problems`")
    add("--list", action="store_true", help="print the warnings that can be left out, each with its reason, and end")


def run(arguments: argparse.Namespace) -> int:
    """Check the files, print what is wrong, and return the exit code."""
    if arguments.list:
        return _print_rules(as_json=arguments.json)
    try:
        problems = _problems(arguments)
    except (ImportError, OSError, ValueError) as exc:
        print(with_link(f"airflow-toloka check: {exc}", "configuration"), file=sys.stderr)
        return 2
    (_print_json if arguments.json else _print_lines)(problems)
    return int(any(arguments.strict or problem.level == "error" for problem in problems))


def _problems(arguments: argparse.Namespace) -> list[Problem]:
    from toloka_airflow.checks import check_files

    named = named_files(arguments)
    files = [*arguments.files, *named.values()]
    if not files:
        raise ValueError("no files are given; try --help")
    for file in files:
        if "://" not in file and not os.path.exists(file):
            raise ValueError(f"{file}: there is no such file")
        if os.path.isdir(file):
            raise ValueError(f"{file} is a folder; give the files in it, such as {os.path.join(file, '*.yaml')}")
    with shown_progress(f"Checking {', '.join(files)}") as on_progress:
        return check_files(
            arguments.files,
            **named,
            off=[name for names in arguments.off for name in names.split(",") if name],
            min_pay_per_hour=arguments.min_pay_per_hour,
            seconds_per_page=arguments.seconds_per_page,
            on_progress=on_progress,
        )


def _print_rules(*, as_json: bool) -> int:
    from toloka_airflow.checks.rule_names import WARNINGS

    if as_json:
        print(json.dumps(WARNINGS, indent=2, sort_keys=True))
        return 0
    width = max(map(len, WARNINGS))
    for name, reason in sorted(WARNINGS.items()):
        print(f"{name:{width}}  {reason}")
    return 0


def _print_lines(problems: Collection[Problem]) -> None:
    for problem in problems:
        print(problem)
    counts = f"{_counted(problems, 'error')}, {_counted(problems, 'warning')}"
    print(with_link(counts, "configuration") if any(problem.level == "error" for problem in problems) else counts)


def _print_json(problems: Sequence[Problem]) -> None:
    counts = {f"{level}s": _count(problems, level) for level in ("error", "warning")}
    print(json.dumps({**counts, "problems": [problem.as_json() for problem in problems]}, indent=2, ensure_ascii=False))


def _counted(problems: Collection[Problem], level: str) -> str:
    count = _count(problems, level)
    return f"{count or 'no'} {plural(count, level)}"


def _count(problems: Collection[Problem], level: str) -> int:
    """Return how many there are, also of those that are summed up in one line."""
    return sum(problem.count for problem in problems if problem.level == level)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number
