"""
How fast the emulator is, and how much memory it takes.

Run it by ``make bench-emulator``. The first part uploads tasks, lets the crowd answer them as fast as it can, and
reads the answers back, all over HTTP and in one process on one core. The second part asks for operations from a
process of its own, in turn with an empty route of the same server, so that a slow moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import requests
from starlette.responses import Response
from starlette.routing import Route

from toloka_airflow.emulator import runner
from toloka_airflow.emulator.http.app import create_app
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from toloka_airflow.emulator.http.guard import Guard
    from toloka_airflow.emulator.simulation.simulation import Simulation

BATCH = 5_000
PAGE = 10_000
OVERLAP = 3
LIVE_OPERATIONS = 10_000
CALLERS = 20
ROUNDS = 15
ROUND_SECONDS = 1.0
GOAL_BYTES = 3_000
GOAL_RATIO = 0.7

PROJECT = {
    "public_name": "Animals",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}},
        "output_spec": {"result": {"type": "string", "allowed_values": ["cat", "dog"]}},
    },
}
POOL = {
    "private_name": "Pool",
    "will_expire": "2040-01-01T00:00:00",
    "reward_per_assignment": 0.01,
    "assignment_max_duration_seconds": 3600,
    "defaults": {"default_overlap_for_new_task_suites": OVERLAP, "default_overlap_for_new_tasks": OVERLAP},
}


def main() -> None:
    """Run both parts and print what came out."""
    parser = argparse.ArgumentParser(prog="benchmarks.emulator", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, help="how many tasks are uploaded")
    parser.add_argument("--suites", type=int, nargs="+", default=[1, 10], help="how many tasks a person gets at once")
    options = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {_processor()}, {os.cpu_count()} cores")
    throughput = compare_routes()
    labelled = {size: in_fresh_process(label, options.tasks, size) for size in options.suites}
    for size, result in labelled.items():
        print(f"\n{options.tasks:,} tasks, overlap {OVERLAP}, suites of {size}:\n{result.table()}")
    print(f"\nGET /operations/{{id}}, {CALLERS} callers, {LIVE_OPERATIONS:,} live operations:\n{throughput.table()}")


def in_fresh_process(measure: Callable[..., Any], *args: Any) -> Any:
    """Return what a function measures in a process that has done nothing else before."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, *args).result()


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def progress(text: str) -> None:
    """Show how far the work is."""
    print(text, file=sys.stderr, flush=True)


# Part one: a labelling round


@dataclass
class Labelled:
    """What a labelling round took."""

    tasks: int
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_per_task: float = 0.0
    # (assignments, bytes since the upload) as the crowd goes on
    growth: list[tuple[int, int]] = field(default_factory=list)
    peak: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of a step."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def table(self) -> str:
        """Return the figures for people."""
        lines = [f"{'':24}{'seconds':>9} {'tasks/s':>9}"]
        for name, seconds in self.seconds.items():
            lines.append(f"{name:24}{seconds:9.1f} {self.tasks / seconds:9,.0f}")
        assignments, size = self.growth[-1]
        by_quarter = ", ".join(f"{size / count:,.0f}" for count, size in self.growth)
        return "\n".join(
            [
                *lines,
                f"assignments             {assignments:9,}",
                f"bytes per task          {self.bytes_per_task:9,.0f}",
                f"bytes per assignment    {size / assignments:9,.0f} (goal: less than {GOAL_BYTES:,})",
                f"  as the crowd goes on: {by_quarter}",
                f"peak memory             {self.peak / 1e6:6,.0f} MB",
            ]
        )


def label(count: int, suite_size: int) -> Labelled:
    """Upload tasks, let the crowd answer them, and read the answers back."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    result = Labelled(count)
    crowd = CrowdSettings(size=200, skip_rate=0, expire_rate=0)
    with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00", crowd=crowd, balance=1e9) as emulator:
        emulator.progressions.set(Progression(seconds=0))
        api = Api(emulator.url)
        project_id = api("POST", "/projects", PROJECT)["id"]
        mixer = {"real_tasks_count": suite_size, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = api("POST", "/pools", POOL | {"project_id": project_id, "mixer_config": mixer})["id"]
        before = memory()
        with result.step("upload"):
            _upload(api, emulator, pool_id, count)
        uploaded = memory()
        result.bytes_per_task = (uploaded - before) / count
        api("POST", f"/pools/{pool_id}/open")
        with result.step("answers of the crowd"):
            _work(emulator, pool_id, uploaded, result)
        with result.step("read back"):
            read = _read(api, pool_id)
        assert read == count * OVERLAP, f"{read} answers instead of {count * OVERLAP}"
        result.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        api.session.close()
    return result


class Api:
    """A client that wants its requests to succeed."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.session = requests.Session()
        self.session.headers["Authorization"] = "OAuth secret"

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = self.session.request(method, self.url + path, json=body, params=query, timeout=600)
        answer.raise_for_status()
        return answer.json()


def memory() -> int:
    """Return the bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _upload(api: Api, emulator: EmulatorServer, pool_id: str, count: int) -> None:
    for start in range(0, count, BATCH):
        tasks = [
            {"pool_id": pool_id, "input_values": {"image": f"https://example.com/image_{i}.jpg"}}
            for i in range(start, min(start + BATCH, count))
        ]
        api("POST", "/tasks", tasks, allow_defaults="true")
        # Not so many in one minute that the quota would be reached.
        emulator.clock.advance(10)
        progress(f"  uploaded {start + len(tasks):,} of {count:,}")


def _work(emulator: EmulatorServer, pool_id: str, uploaded: int, result: Labelled) -> None:
    wanted = result.tasks * OVERLAP
    quarters = [wanted * i // 4 for i in range(1, 5)]
    while quarters:
        emulator.clock.advance(1800)
        state = emulator.pool(pool_id)
        if state["answers"] >= quarters[0]:
            quarters = [quarter for quarter in quarters if quarter > state["answers"]]
            result.growth.append((len(emulator.world.assignments), memory() - uploaded))
            progress(f"  answered {state['answers']:,} of {wanted:,}")
    assert emulator.pool(pool_id)["status"] == "CLOSED"


def _read(api: Api, pool_id: str) -> int:
    read, last = 0, {}
    while True:
        page = api("GET", "/assignments", pool_id=pool_id, status="ACCEPTED", sort="id", limit=PAGE, **last)
        read += sum(len(assignment["solutions"]) for assignment in page["items"])
        progress(f"  read {read:,}")
        if not page["has_more"]:
            return read
        last = {"id_gt": page["items"][-1]["id"]}


# Part two: how many operations can be asked for


@dataclass
class Round:
    """One round with one route: requests per second, and microseconds of the server's CPU for each of them."""

    rate: float
    cpu: float


@dataclass
class Throughput:
    """Two routes, in turn."""

    empty: list[Round]
    asked: list[Round]

    def table(self) -> str:
        """Return the figures for people."""
        pairs = list(zip(self.asked, self.empty, strict=True))
        rates = sorted(asked.rate / empty.rate for asked, empty in pairs)
        cpu = statistics.median(empty.cpu / asked.cpu for asked, empty in pairs)
        return "\n".join(
            [
                f"an empty route      {_medians(self.empty)}",
                f"GET /operations/{{id}} {_medians(self.asked)}",
                f"ratio of requests/s {statistics.median(rates):9.2f} (goal: at least {GOAL_RATIO};"
                f" rounds from {rates[0]:.2f} to {rates[-1]:.2f})",
                f"ratio of CPU        {cpu:9.2f}, which other work on the machine does not disturb",
            ]
        )


def _medians(rounds: list[Round]) -> str:
    rate = statistics.median(one.rate for one in rounds)
    return f"{rate:9,.0f} requests/s, {statistics.median(one.cpu for one in rounds):4.0f} us of CPU each"


def compare_routes() -> Throughput:
    """Ask for operations and for nothing, in turn."""
    with mock.patch.object(runner, "create_app", _with_empty_route):
        emulator = EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00")
        emulator.start()
    result = Throughput([], [])
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as callers:
        emulator.progressions.set(Progression(seconds=86_400))
        asked = [f"/api/v1/operations/{operation_id}" for operation_id in _live_operations(emulator)]
        for number in range(ROUNDS + 1):
            for paths, rounds in ((["/empty"], result.empty), (asked, result.asked)):
                start = time.process_time()
                rate = callers.submit(call, emulator.url, paths).result()
                cpu = (time.process_time() - start) / (rate * ROUND_SECONDS)
                # The first round warms up.
                if number:
                    rounds.append(Round(rate, cpu * 1e6))
            progress(f"  round {number} of {ROUNDS}")
    emulator.stop()
    return result


def _live_operations(emulator: EmulatorServer) -> list[str]:
    with emulator.world.up_to_date() as world:
        return [operations.start(world, "POOL.CLONE", {}, _nothing).id for _ in range(LIVE_OPERATIONS)]


def _nothing(world: Simulation, operation: Any) -> None:
    """Have no effect."""


def call(url: str, paths: list[str]) -> float:
    """Let all callers ask for the paths as fast as they get answers; return the requests per second."""
    return asyncio.run(_call(url, paths))


async def _call(url: str, paths: list[str]) -> float:
    host, port = url.removeprefix("http://").split(":")
    until = time.perf_counter() + ROUND_SECONDS
    turn = itertools.cycle(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: OAuth secret\r\n\r\n".encode() for path in paths
    )
    counts = await asyncio.gather(*(_caller(host, int(port), turn, until) for _ in range(CALLERS)))
    return sum(counts) / ROUND_SECONDS


async def _caller(host: str, port: int, turn: Iterator[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    while time.perf_counter() < until:
        writer.write(next(turn))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        count += 1
    writer.close()
    return count


def _with_empty_route(world: Simulation, guard: Guard) -> Starlette:
    async def empty(request: Any) -> Response:
        return Response(b"{}", media_type="application/json")

    app = create_app(world, guard)
    app.router.routes.insert(0, Route("/empty", empty))
    return app


if __name__ == "__main__":
    main()
