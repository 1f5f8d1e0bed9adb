"""``airflow-toloka estimate --rehearse``: the configuration rehearsed with a simulated crowd."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.storage.replacing import path_errors

if TYPE_CHECKING:
    from toloka_airflow.checks.money import Fee
    from toloka_airflow.rehearsal import Rehearsal
    from toloka_airflow.rehearsal.plans import Config

# The defaults are those of `rehearse` and its `Crowd`, whose modules are imported when a rehearsal is made.
PEOPLE, ACCURACY, RUNS, MAX_DAYS = 40, 0.85, 20, 30.0
CLEAR_LINE = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a rehearsal; the files, and ``--json``, are the command's own."""
    group = parser.add_argument_group(
        "rehearsal", "with --rehearse: let a simulated crowd answer the tasks, several times, in virtual time"
    )
    add = group.add_argument
    add("--people", type=int, default=PEOPLE, metavar="N", help=f"how many people work (default: {PEOPLE})")
    add(
        "--pace",
        type=float,
        metavar="SECONDS",
        help="median seconds for a page (default: as in previous pools with --conn-id, else 12 for each task on it)",
    )
    add(
        "--accuracy",
        type=float,
        default=ACCURACY,
        metavar="SHARE",
        help=f"mean share of right answers of a person, 0 to 1 (default: {ACCURACY})",
    )
    add("--runs", type=int, default=RUNS, metavar="N", help=f"how many runs (default: {RUNS})")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="another seed gives other people, answers and truth (default: 0)",
    )
    add(
        "--start",
        type=_date,
        metavar="DATE",
        help="when the pool is opened, YYYY-MM-DDThh:mm:ss in UTC (default: now)",
    )
    add(
        "--max-days",
        type=float,
        default=MAX_DAYS,
        metavar="DAYS",
        help=f"after how many virtual days a run ends if the pool is still open (default: {MAX_DAYS:g})",
    )
    add("--training-tasks", metavar="FILE", help="tasks of the training; else tasks of the pool stand for them")
    add(
        "--passing-value",
        type=int,
        metavar="N",
        help="how well people must do in the training, 0 to 100, if the pool does not say so",
    )
    add("--svg", metavar="FILE", help="write a picture of the runs")


def rehearse(
    arguments: argparse.Namespace,
    project: Config,
    pool: Config,
    training: Config | None,
    tasks: Any,
    fee: Fee,
) -> Rehearsal:
    """
    Rehearse as the options say, with the progress on standard error, and write the picture.

    :raises ValueError: If it cannot be rehearsed.
    :raises OSError: If the picture cannot be written.
    """
    from toloka_airflow.rehearsal import Crowd
    from toloka_airflow.rehearsal import rehearse as rehearse_config
    from toloka_airflow.rehearsal.chart import draw

    # Before minutes of work whose picture cannot be written.
    if arguments.svg:
        with path_errors(arguments.svg, "--svg"), open(arguments.svg, "a", encoding="utf-8"):
            pass
    with _shown_runs(arguments.runs) as show:
        rehearsal = rehearse_config(
            project,
            pool,
            training,
            tasks,
            training_tasks=arguments.training_tasks,
            training_passing_skill_value=arguments.passing_value,
            crowd=Crowd(arguments.people, arguments.pace, arguments.accuracy),
            runs=arguments.runs,
            seed=arguments.seed,
            start=arguments.start,
            max_days=arguments.max_days,
            fee=fee,
            on_run=show,
        )
    if arguments.svg:
        title = f"Rehearsal: {counted(arguments.people, 'person', 'people')}, {arguments.accuracy:.0%} right on average"
        with path_errors(arguments.svg, "--svg"):
            Path(arguments.svg).write_text("\n".join(draw(rehearsal, title)) + "\n", encoding="utf-8")
    return rehearsal


@contextmanager
def _shown_runs(runs: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error which run it is: in one line at a terminal, else in a line each."""
    is_terminal = sys.stderr.isatty()

    def show(number: int) -> None:
        text = f"run {number} of {runs}"
        print(
            f"{CLEAR_LINE}{text}" if is_terminal else text, end="" if is_terminal else "\n", file=sys.stderr, flush=True
        )

    try:
        yield show
    finally:
        if is_terminal:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write YYYY-MM-DDThh:mm:ss") from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
