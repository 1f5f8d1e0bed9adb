"""
``airflow-toloka estimate``: what a pool will cost, how long it takes, and, with ``--rehearse``, what may come of it.

A small table and what was taken for granted; or one JSON object, as `EstimateOperator` returns it, with ``rehearsal``
if there was one.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.checks.checking import kind_of
from toloka_airflow.checks.duration import Pace, estimate_duration
from toloka_airflow.checks.estimate import Estimate, estimate, table
from toloka_airflow.checks.money import Fee, Range, money_text
from toloka_airflow.checks.task_counts import CannotEstimateError, count_tasks
from toloka_airflow.cli import rehearsal
from toloka_airflow.cli.config_files import add_files, named_files
from toloka_airflow.cli.progress import shown_progress
from toloka_airflow.storage.config_files import read_config

if TYPE_CHECKING:
    from toloka_airflow._internal.troubleshooting import Topic
    from toloka_airflow.transfer.upload.task_files import Specs

CONFIG_SUFFIXES = (".json", ".yaml", ".yml")
TABLES = (".csv", ".tsv", ".parquet")
EPILOG = """\
exit codes:
  0  it was estimated
  1  nobody knows, or it may cost more than --max-total
  2  it could not be tried, such as for want of a file

examples:
  airflow-toloka estimate project.yaml pool.yaml tasks.csv
  airflow-toloka estimate pool.yaml tasks.jsonl --fee 0.2 --max-total 50
  airflow-toloka estimate project.yaml pool.yaml tasks.csv --conn-id toloka_default --project-id 74175
  airflow-toloka estimate project.yaml pool.yaml tasks.csv --rehearse --svg rehearsal.svg
"""


@dataclass(frozen=True)
class Files:
    """The files of a command line, each by what it is."""

    pool: str
    tasks: str
    project: str | None = None
    training: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(
        parser,
        description=(
            "Estimate what a pool will cost and how long it takes. Nothing is sent anywhere, unless\n"
            "--conn-id is given: then Toloka measures how fast people were in previous pools of the project."
        ),
        epilog=EPILOG,
        files_help="pool, tasks, and if there are: project and training; in any order",
        when_named="whatever its content is",
    )
    add = parser.add_argument
    add("--fee", type=_share, default=Fee().share, metavar="SHARE", help="Toloka's fee, of a reward (default: 0.3)")
    add(
        "--min-fee", type=_money, default=Fee().least, metavar="USD", help="the least fee of an answer (default: 0.005)"
    )
    add(
        "--rejected",
        type=_share,
        default=Decimal(0),
        metavar="SHARE",
        help="how many assignments you reject (default: 0)",
    )
    add("--max-total", type=_money, metavar="USD", help="exit with 1 if it may cost more, the fee included")
    add(
        "--conn-id", metavar="ID", help="the Airflow connection to Toloka; measure the project's previous pools with it"
    )
    add("--project-id", metavar="ID", help="the project of the previous pools, if the pool does not name it")
    add(
        "--at-once", type=_people, metavar="N-N", help="for the hours: how many people work at a time (default: 10-100)"
    )
    add("--rehearse", action="store_true", help="let a simulated crowd answer the tasks, too")
    add("--json", action="store_true", help="print one JSON object")
    rehearsal.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Estimate, print what came of it, and return the exit code."""
    if arguments.svg and not arguments.rehearse:
        print("airflow-toloka estimate: --svg is the picture of a rehearsal; give --rehearse, too", file=sys.stderr)
        return 2
    try:
        # Airflow, where it is needed, may write its log on standard output, which is for the answer.
        with redirect_stdout(sys.stderr):
            files = _files(arguments)
            pool = read_config("pool", files.pool)
            estimated = _estimate(arguments, files, pool)
            paces = _paces(arguments, pool)
    except CannotEstimateError as exc:
        print(f"airflow-toloka estimate: {exc}", file=sys.stderr)
        return 1
    except _failures() as exc:
        topic: Topic = getattr(exc, "topic", "configuration")
        print(with_link(f"airflow-toloka estimate: {exc}", topic), file=sys.stderr)
        return 2
    duration = None
    if estimated.assignments is not None:
        duration = estimate_duration(estimated.assignments, pool, paces, people=arguments.at_once)
    answer = estimated.as_json() | {"duration": duration and duration.as_json()}
    if not arguments.json:
        print("\n".join(table(estimated, duration)))
    if arguments.pace is None and (measured := [pace.seconds_per_answer for pace in paces if pace.seconds_per_answer]):
        arguments.pace = statistics.median(measured)
    status = _rehearse(arguments, files, estimated, answer) if arguments.rehearse else 0
    if arguments.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    return status or _judge(arguments, estimated)


def _rehearse(arguments: argparse.Namespace, files: Files, estimated: Estimate, answer: dict[str, Any]) -> int:
    from toloka_airflow.rehearsal.results import table as lines

    if files.project is None:
        text = "airflow-toloka estimate: to rehearse, give the project, too"
        print(with_link(text, "configuration"), file=sys.stderr)
        return 2
    try:
        with redirect_stdout(sys.stderr):
            rehearsed = rehearsal.rehearse(
                arguments, files.project, files.pool, files.training, files.tasks, _fee(arguments)
            )
    except (OSError, ValueError) as exc:
        print(with_link(f"airflow-toloka estimate: cannot rehearse: {exc}", "configuration"), file=sys.stderr)
        return 2
    answer["rehearsal"] = rehearsed.as_json()
    if not arguments.json:
        print("", *lines(rehearsed, (estimated.total.least, estimated.total.most)), sep="\n")
    return 0


def _judge(arguments: argparse.Namespace, estimated: Estimate) -> int:
    if arguments.max_total is None or estimated.total.most <= arguments.max_total:
        return 0
    cost, limit = money_text(estimated.total.most), money_text(arguments.max_total)
    text = f"airflow-toloka estimate: the pool may cost {cost}, and --max-total is {limit}"
    print(with_link(text, "not-enough-money"), file=sys.stderr)
    return 1


def _files(arguments: argparse.Namespace) -> Files:
    """
    Find out what each file is: a configuration is what its keys belong to, and all else are tasks.

    :raises ValueError: If one is missing, or two are the same.
    """
    found = named_files(arguments)
    for file in arguments.files:
        kind = _kind(file)
        if kind in found:
            raise ValueError(_said_of_two(kind, found[kind], file))
        found[kind] = file
    missing = [f"the {kind}" for kind in ("pool", "tasks") if kind not in found]
    if missing:
        raise ValueError(f"give the file of {' and that of '.join(missing)}, too; try --help")
    return Files(**found)


def _said_of_two(kind: str, first: str, second: str) -> str:
    if kind != "tasks":
        return f"{first} and {second} are both a {kind}; name one of each, such as --{kind} {second}"
    return (
        f"{first} and {second} are both tables or lists of tasks; give one. Those of a training are given by "
        "--training-tasks FILE, and only a rehearsal needs them"
    )


def _kind(file: str) -> str:
    if not file.lower().endswith(CONFIG_SUFFIXES):
        return "tasks"
    if file.lower().endswith(".json") and _begins_with_a_list(file):
        return "tasks"
    kind = kind_of(read_config("file", file))
    if kind is None:
        raise ValueError(
            f"{file}: no key of it says whether it is a project, a pool or a training; name it: --pool {file}"
        )
    return kind


def _begins_with_a_list(file: str) -> bool:
    from toloka_airflow.storage.paths import storage_path

    try:
        with storage_path("file", file).open("rb") as opened:
            return bool(opened.read(1024).decode("utf-8-sig", "replace").lstrip()[:1] == "[")
    except OSError as exc:
        raise ValueError(f"{file}: {exc.strerror or exc}") from None


def _estimate(arguments: argparse.Namespace, files: Files, pool: Mapping[str, Any]) -> Estimate:
    from toloka_airflow.transfer.upload.task_files import task_source

    with shown_progress(f"Reading {files.tasks}"):
        rows = task_source(files.tasks).rows(lambda: _specs(files))
        counts = count_tasks((row.fields for row in rows), pool)
    return estimate(pool, counts, fee=_fee(arguments), rejected_share=arguments.rejected)


def _fee(arguments: argparse.Namespace) -> Fee:
    return Fee(arguments.fee, arguments.min_fee)


def _specs(files: Files) -> Specs:
    if files.project is None:
        if any(suffix in files.tasks.lower() for suffix in TABLES):
            raise ValueError("it is a table, whose columns are fields of the project; give the project's file, too")
        return {}, {}
    spec = read_config("project", files.project).get("task_spec")
    specs = spec if isinstance(spec, Mapping) else {}
    return specs.get("input_spec") or {}, specs.get("output_spec") or {}


def _paces(arguments: argparse.Namespace, pool: Mapping[str, Any]) -> list[Pace]:
    if arguments.conn_id is None:
        return []
    project_id = arguments.project_id or pool.get("project_id")
    if project_id is None:
        raise ValueError("The pool names no project, so its previous pools are not known; give --project-id")
    from toloka_airflow.hooks import TolokaHook
    from toloka_airflow.operators.paces import fetch_paces

    with shown_progress(f"Measuring previous pools of project {project_id}"):
        client = TolokaHook(arguments.conn_id).get_conn()
        return fetch_paces(client, str(project_id), logging.getLogger(__name__))


def _failures() -> tuple[type[Exception], ...]:
    """Return what may go wrong; of Airflow, only what was imported for the connection."""
    if "toloka_airflow.hooks" not in sys.modules:
        return OSError, ValueError
    from airflow.providers.common.compat.sdk import AirflowException

    from toloka_airflow.api.errors import TolokaError

    return OSError, ValueError, AirflowException, TolokaError


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of money, such as 12.50")
    return amount


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except InvalidOperation:
        share = Decimal(-1)
    if not share.is_finite() or not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share, such as 0.3 or 30%")
    return share


def _people(text: str) -> Range[int]:
    least, _, most = text.partition("-")
    if not (least.isdecimal() and (most or least).isdecimal() and 0 < int(least) <= int(most or least)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of people, such as 40 or 10-100")
    return Range(int(least), int(most or least))
