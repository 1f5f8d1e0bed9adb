"""
What the page "Toloka" takes beside Airflow's own list of DAGs: 2,000 open pools in 40 DAGs, 20 people.

Run it by ``make bench-page``, for three minutes. Two API servers of one worker each, SQLite, and the emulator as
Toloka; all of them, and the 20 people, are processes and threads of this machine.

- *First loads*: 20 people ask for the same thing in the same moment, ten times each, the page's data and the list of
  DAGs in turn; none has seen the page before. Compared are the 95th percentiles: the page's may be 3 times as long.
- *Looking*: 20 people have both open, the page, which asks for its data every 10 seconds, and the list of DAGs, which
  is asked for as often, a moment later; for each of them at another moment. Compared are the 95th percentiles: the
  page's may be 3 times as long. Both are asked for at fixed moments, however long an answer takes: a list that is asked
  for whenever the last one has come is hardly ever asked for during the half seconds in which Python collects the
  garbage of the API server, which those lists leave.
- *Others*: meanwhile one more person lists the DAGs again and again. In turns of the same length the same goes on at an
  API server with the same records where nobody has ever had the page open. Turns are compared in pairs, by their means,
  which those collections are part of, so that a machine which is busy for a while is so for both: beside 20 people with
  the page, the list may take 1.2 times as long, in the median of all pairs.
- *Toloka*: no two lists of open pools begin within 10 seconds.

It ends with 1 if one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import requests

from tests.airflow_home import clean_environment
from tests.unit.doctor.records import NOW, Rows, insert
from tests.unit.web.served import served

ROOT = Path(__file__).resolve().parent.parent
PAGE, DAGS = "/toloka/api/overview", "/ui/dags?limit=50&offset=0&dag_runs_limit=14"
REFRESH = 10.0
"""Seconds between two refreshes of the page, as its script has it."""
TOLOKA = """
import json, sys
from toloka_airflow.emulator.server import EmulatorServer
with EmulatorServer(seed=1) as toloka:
    toloka.crowd.change(size=0)
    pools = [{"private_name": f"Pool {n}", "open": True, "tasks": 1} for n in range(int(sys.argv[1]))]
    ids = toloka.load({"projects": [{"pools": pools}]})["pools"]
    print(json.dumps({"url": toloka.url, "ids": ids}), flush=True)
    sys.stdin.readline()
    lists = [each["at"] for each in toloka.journal.requests("GET", "/api/v1/pools") if "id_gt" not in str(each)]
    print(json.dumps(lists), flush=True)
"""


def main() -> int:
    """Measure, print, and return 1 if something takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--pools", type=int, default=2000)
    parser.add_argument("--dags", type=int, default=40)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10, help="how often all ask at once")
    parser.add_argument("--pairs", type=int, default=6, help="how often the list is measured alone and beside people")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each of these turns is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_toloka(options.pools) as (toloka, began):
        home, other_home = Path(folder) / "seen", Path(folder) / "unseen"
        home.mkdir()
        say(f"Writing {options.pools} pools in {options.dags} DAGs ...")
        make_home(home, toloka["ids"], options.dags)
        shutil.copytree(home, other_home)
        connection = json.dumps({"conn_type": "toloka", "host": toloka["url"], "password": "a-token"})
        with (
            served(home, AIRFLOW_CONN_TOLOKA_DEFAULT=connection) as airflow,
            served(other_home, AIRFLOW_CONN_TOLOKA_DEFAULT=connection) as without_page,
        ):
            results = [first_loads(airflow, options), looking(airflow, without_page, options)]
        results.append(lists_of_toloka(began()))
    return 0 if all(results) else 1


@contextmanager
def local_toloka(pools: int) -> Iterator[tuple[dict[str, Any], Callable[[], list[Any]]]]:
    """Serve a Toloka, and give its address, the ids of its pools, and what returns when lists of pools began."""
    env = clean_environment(PYTHONPATH=str(ROOT))
    command = [sys.executable, "-c", TOLOKA, str(pools)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout
        ready = json.loads(stdout.readline())

        def began() -> list[Any]:
            stdin.write("\n")
            stdin.flush()
            found: list[Any] = json.loads(stdout.readline())
            return found

        try:
            yield ready, began
        finally:
            process.terminate()


def make_home(home: Path, pool_ids: list[str], dags: int) -> None:
    """Make a database in which tasks have named all pools, a run for each."""
    env = clean_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    rows = Rows()
    for number in range(dags):
        name, never = f"dag_{number:02}", "0 0 * * *"
        rows.add("dag", dag_id=name, dag_display_name=name, bundle_name="dags", fileloc="/dags/labelling.py",
                 is_stale=False, is_paused=False, timetable_summary=never, max_active_tasks=16)  # fmt: skip
    for number, pool_id in enumerate(pool_ids):
        add_pool(rows, f"dag_{number % dags:02}", f"run_{number:04}", pool_id)
    insert(home, rows.tables)


def add_pool(rows: Rows, dag_id: str, run_id: str, pool_id: str) -> None:
    """Add a run of four tasks that opens a pool and waits for it."""
    number = rows.run(dag_id, run_id, "running", run_after=NOW.isoformat(), logical_date=None)
    times = {"start_date": NOW.isoformat(), "end_date": NOW.isoformat()}
    fields = {"pool_id": pool_id}
    rows.task(dag_id, run_id, "check", {**fields, "closes_at": NOW.isoformat()}, operator="CheckWindowOperator",
              **times)  # fmt: skip
    rows.task(dag_id, run_id, "open", fields, operator="OpenWindowPoolOperator", **times)
    trigger = rows.trigger(pool_id)
    rows.tables["trigger"][trigger - 1]["kwargs"]["until"] = (NOW + timedelta(hours=1)).timestamp()
    rows.task(dag_id, run_id, "wait", {**fields, "until": None, "max_spend": None}, operator="PoolSensor",
              state="deferred", trigger_id=trigger, start_date=NOW.isoformat())  # fmt: skip
    rows.task(dag_id, run_id, "close", fields, operator="CloseWindowPoolOperator", state=None)
    measured = {"at": NOW.isoformat(), "percent": 40, "answers": 8, "spent": 0.2, "committed": 0.1}
    link = f"https://platform.toloka.ai/requester/project/1/pool/{pool_id}"
    xcoms = {("check", "closes_at"): NOW.isoformat(), ("wait", "toloka_measured"): measured,
             ("open", "operation_id"): f"operation-{pool_id}"}  # fmt: skip
    xcoms |= {(task, "toloka_link"): link for task in ("check", "open", "wait")}
    for (task_id, key), value in xcoms.items():
        rows.add("xcom", dag_run_id=number, dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, value=value)


class Person:
    """Somebody with a browser, which keeps its connection, takes compressed answers, and remembers the last one."""

    def __init__(self, airflow: dict[str, Any]) -> None:
        self.url = airflow["url"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {airflow['tokens']['admin']}"
        self.known = ""

    def seconds(self, path: str) -> float:
        """Return how long an answer takes, until it has come as a whole."""
        began = time.perf_counter()
        answer = self.session.get(self.url + path, timeout=120)
        took = time.perf_counter() - began
        answer.raise_for_status()
        if path.startswith(PAGE):
            self.known = answer.json()["version"]
        return took

    def refresh(self) -> float:
        """Return how long the page waits for its data, which it asks for as one that has been open for a while."""
        return self.seconds(f"{PAGE}?known={self.known}")


def first_loads(airflow: dict[str, Any], options: argparse.Namespace) -> bool:
    """Compare what 20 people wait for who ask in the same moment."""
    people = [Person(airflow) for _ in range(options.people)]
    begin = Barrier(options.people)
    found: dict[str, list[float]] = {PAGE: [], DAGS: []}

    def ask(person: Person, path: str) -> float:
        begin.wait()
        return person.seconds(path)

    with ThreadPoolExecutor(options.people) as threads:
        seconds = list(threads.map(ask, people, [PAGE] * len(people)))
        say(f"first loads from a worker that has nothing yet: {min(seconds):.2f} to {max(seconds):.2f} s, not compared")
        answer = people[0].session.get(people[0].url + PAGE, timeout=120)
        size, pools = int(answer.headers["Content-Length"]), answer.json()
        say(f"{len(pools['pools'])} pools, {len(answer.content) / 1e6:.1f} MB, compressed {size / 1e6:.2f} MB")
        say(f"connections: {pools['connections']}")
        for number in range(2 * options.rounds):
            path = (PAGE, DAGS)[number % 2]
            seconds = list(threads.map(ask, people, [path] * len(people)))
            say(
                f"  {number + 1} of {2 * options.rounds}: {path.partition('?')[0]}, slowest {max(seconds) * 1e3:.0f} ms"
            )
            found[path] += seconds
    return compare(f"first loads by {options.people} people at once", found[PAGE], found[DAGS])


def looking(airflow: dict[str, Any], without_page: dict[str, Any], options: argparse.Namespace) -> bool:
    """Compare the page's data with the list of DAGs, and that list with one where nobody has the page open."""
    found = Waited()
    means: dict[bool, list[float]] = {False: [], True: []}
    people = {has_page: [Person(airflow if has_page else without_page) for _ in range(options.people)]
              for has_page in means}  # fmt: skip
    listers = {has_page: Person(airflow if has_page else without_page) for has_page in means}
    for number in range(options.pairs):
        # The other order in every second pair: ABBA, so that nothing that grows over time counts for one of them.
        for has_page in (False, True) if number % 2 == 0 else (True, False):
            if has_page:  # somebody has had it open before, so that nobody begins with nothing
                listers[has_page].seconds(PAGE)
            seconds = turn(listers[has_page], people[has_page], found if has_page else None, options.seconds)
            means[has_page].append(statistics.mean(seconds))
        say(f"  {number + 1} of {options.pairs}: list of DAGs, mean, {in_pair(means[False][-1], means[True][-1])}")
    ratios = [each / other for each, other in zip(means[True], means[False], strict=True)]
    ratio = statistics.median(ratios)
    say(f"list of DAGs, mean: {in_pair(statistics.mean(means[False]), statistics.mean(means[True]))}; median of "
        f"pairs: {ratio:.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    return compare(f"{options.people} people looking", found.page, found.dags) and ratio <= 1.2


def in_pair(alone: float, beside: float) -> str:
    """Return two means and their ratio in words."""
    return f"without the page {alone * 1e3:.1f} ms, beside it {beside * 1e3:.1f} ms: {beside / alone:.2f} times"


@dataclass
class Waited:
    """Seconds that people have waited for the page's data, and for the list of DAGs."""

    page: list[float] = field(default_factory=list)
    dags: list[float] = field(default_factory=list)


def turn(lister: Person, people: list[Person], waited: Waited | None, seconds: float) -> list[float]:
    """
    Return how long lists of DAGs took, one after the other, while people look.

    :param waited: What the people have waited for; ``None`` if they have only the list of DAGs open.
    """
    ended = Event()
    of_lists: list[float] = []
    step = REFRESH / len(people)

    def look(person: Person, wait: float) -> None:
        while not ended.wait(wait):
            began = time.monotonic()
            if waited is not None:
                waited.page.append(person.refresh())
            if ended.wait(began + step / 2 - time.monotonic()):
                break
            took = person.seconds(DAGS)
            if waited is not None:
                waited.dags.append(took)
            wait = began + REFRESH - time.monotonic()

    with ThreadPoolExecutor(len(people)) as threads:
        running = [threads.submit(look, person, number * step) for number, person in enumerate(people)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            of_lists.append(lister.seconds(DAGS))
        ended.set()
        for each in running:
            each.result()
    return of_lists


def compare(what: str, of_page: list[float], of_list: list[float]) -> bool:
    """Return whether the page's data took at most 3 times as long as the list of DAGs."""
    page, dags = percentile(of_page), percentile(of_list)
    say(
        f"{what}, 95th percentile: page {page * 1e3:.0f} ms ({len(of_page)} answers), list of DAGs {dags * 1e3:.0f} ms "
        f"({len(of_list)}): {page / dags:.2f} times"
    )
    return page / dags <= 3


def say(text: str) -> None:
    """Print at once, also into a file."""
    print(text, flush=True)


def lists_of_toloka(began: list[Any]) -> bool:
    """Return whether lists of pools began at least 10 seconds after each other."""
    times = [datetime.fromisoformat(each) for each in began]
    pauses = [(after - before).total_seconds() for before, after in pairwise(times)]
    least = min(pauses, default=float("inf"))
    say(f"lists of open pools: {len(began)}, at least {least:.1f} s after each other")
    return least >= 9.9


def percentile(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
