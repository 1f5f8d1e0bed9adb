"""
What waits cost in a deployment: ours beside Airflow's `DateTimeTrigger` and the HTTP provider's `HttpSensorTrigger`.

Run it by ``make bench-fleet``. A fleet (see `fleet`) is started with two triggerers on PostgreSQL, and one kind after
the other waits in it, each with fresh triggerers and with the same ends. Most tasks are deferred in the database, as
workers would leave them, in a pool of no slots, so that none resumes; those of the kinds ``real`` are deferred and
resumed by workers. What is measured is told in ``docs/performance.md``, whose tables ``--write`` makes anew.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fleet import page
from benchmarks.fleet.case import Case, Plan
from benchmarks.fleet.deployment import Deployment
from benchmarks.fleet.figures import Figures
from benchmarks.fleet.kinds import KINDS
from benchmarks.fleet.toloka import Toloka
from fleet.__main__ import bring_up
from fleet.lane import Lane, take_down
from fleet.settings import ROOT, Options

HOME = ROOT / ".fleet-bench"
DAGS = Path(__file__).parent / "dags"
SPREAD = 60.0
"""Seconds within which the waits end, if a user does not say otherwise."""
MOST_QUIET = 1.0
"""Minutes of the part in which nothing ends, at the most, of all but the first number of our waits, and of pools."""
POOLS_QUIET = 2.0, 5.0
"""Minutes of that part for pools, at the least and at the most, as each is measured once a minute."""


def plans(options: argparse.Namespace) -> list[Plan]:
    """Return what is to be run, in order."""
    found = []
    for kind in (KINDS[name] for name in options.kinds):
        counts = [options.real] if kind.real else [options.pools] if kind.name == "pools" else options.waits
        found += [Plan(kind, count, 60 * _quiet(options, kind.name, count), options.spread) for count in counts]
    return found


def _quiet(options: argparse.Namespace, kind: str, count: int) -> float:
    minutes: float = options.minutes
    if kind == "pools":
        return min(max(minutes, POOLS_QUIET[0]), POOLS_QUIET[1])
    return minutes if (kind, count) == ("ours", options.waits[0]) else min(minutes, MOST_QUIET)


def main() -> None:
    """Run the cases one after the other, and print what came out."""
    options = _parser().parse_args()
    todo = plans(options)
    print(f"{len(todo)} cases, about {sum(plan.estimate for plan in todo) / 60 + 3:.0f} minutes", file=sys.stderr)
    results = _read(options.results)
    with _deployment(options.home) as deployment:
        for number, plan in enumerate(todo, 1):
            say = _progress(f"{number}/{len(todo)} {plan}")
            say(f"about {plan.estimate / 60:.0f} minutes")
            with Toloka(deployment.toloka_port) as toloka:
                record = Case(plan, deployment, toloka, say).run()
            results[plan.kind.name, plan.waits] = figures = Figures.of(record)
            say(page.line(figures))
            if options.results:
                options.results.write_text(json.dumps([one.as_json() for one in results.values()]))
        threshold = deployment.threshold
    text = page.text(list(results.values()), _command(), threshold)
    print(text)
    if options.write:
        page.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description=__doc__)
    add = parser.add_argument
    add("--waits", type=_numbers, default=[1_000], metavar="N,N,...", help="how many waits of each kind")
    add("--pools", type=int, default=300, help="how many of the kind pools")
    add("--real", type=int, default=50, help="how many of the kinds real and real_datetime")
    add(
        "--minutes",
        type=float,
        default=1.0,
        help="of the part in which nothing ends, for our first number of waits; of others less",
    )
    add("--spread", type=float, default=SPREAD, help="seconds within which the waits end")
    add("--kinds", type=_names, default=list(KINDS), metavar=",".join(KINDS))
    add("--home", type=Path, help="a fleet that runs already, with our DAGs; otherwise one is started and ended")
    add("--results", type=Path, help="a file of figures: those of other cases in it are kept")
    add("--write", action="store_true", help="write the tables in docs/performance.md")
    return parser


def _progress(title: str) -> Callable[[str], None]:
    return lambda text: print(f"{time.strftime('%X')} {title}: {text}", file=sys.stderr, flush=True)


@contextmanager
def _deployment(home: Path | None) -> Iterator[Deployment]:
    """Attach to a fleet, or have one of our own for as long as it is needed."""
    if home is not None:
        yield Deployment(Lane(home))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the fleet would stay
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bring_up(HOME, Options(dags=str(DAGS), env=Deployment.connection_variable(port)))
    try:
        yield Deployment(Lane(HOME))
    finally:
        take_down(HOME)


def _command() -> str:
    return " ".join(["python -m benchmarks.fleet", *(each for each in sys.argv[1:] if each != "--write")])


def _read(path: Path | None) -> dict[tuple[str, int], Figures]:
    kept = json.loads(path.read_text()) if path and path.exists() else []
    return {(one["kind"], one["waits"]): Figures(**one) for one in kept}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    if unknown := set(text.split(",")) - KINDS.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return text.split(",")


if __name__ == "__main__":
    main()
