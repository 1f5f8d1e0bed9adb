"""
What waiting costs: ours beside the triggers of two providers and toloka-kit.

Run it by ``make bench-wait``. Every case has a process of its own, and a local Toloka in another; the triggers run in
Airflow's own triggerer, and ours in a bare event loop as well. So many operations end at random within two minutes.
What is measured is told in ``docs/performance.md``, whose table and chart ``--write`` makes anew.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.waiting.cases import CASES, Case, connections

# Airflow reads these when it is imported, here and in the processes that are started.
SETTINGS = {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="toloka-airflow-bench-"),
    "AIRFLOW__CORE__FERNET_KEY": "b25seS1hLWJlbmNobWFyay0wMDAwMDAwMDAwMDAwMDA=",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}
os.environ.update(SETTINGS)
atexit.register(shutil.rmtree, SETTINGS["AIRFLOW_HOME"], ignore_errors=True)

from benchmarks.waiting import page  # noqa: E402
from benchmarks.waiting.case import Record  # noqa: E402
from benchmarks.waiting.figures import Figures, work_out  # noqa: E402
from benchmarks.waiting.supervisor import Supervisor  # noqa: E402

COMMANDS = {
    "loop": ["-m", "benchmarks.waiting.loop"],
    "threads": ["-W", "ignore", "-m", "benchmarks.waiting.kit"],
}
DONE = "done\n"
WARM_UP = 10
SECONDS = 120.0
REST = 12.0
"""Seconds in which it is seen what a process takes that waits for nothing."""
PATIENCE = 120.0
"""Seconds after the last end of an operation for which a case may go on."""


@dataclass(frozen=True)
class Server:
    """The local Toloka, in a process of its own."""

    ports: list[int]
    folder: Path

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that waits."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW")}
        certificate = {"SSL_CERT_FILE": str(self.folder / "certificate.pem")}
        return environment | SETTINGS | connections(*self.ports) | certificate

    def begin(self, count: int, lead: float = 0, seconds: float = 0) -> dict[str, Any]:
        """Start operations that end at random within some seconds, after a lead."""
        plan: dict[str, Any] = self._ask(f"begin?count={count}&lead={lead}&seconds={seconds}")
        return plan

    def samples(self) -> list[Any]:
        """Return what the server did since it began."""
        samples: list[Any] = self._ask("samples")
        return samples

    def _ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/bench/{what}") as answer:
            return json.load(answer)


@contextmanager
def serve() -> Iterator[Server]:
    """Start the server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.waiting.server", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            yield Server([int(port) for port in server.stdout.readline().split()], Path(folder))
            server.terminate()


@dataclass(frozen=True)
class Bench:
    """How the cases are run."""

    pythons: dict[str, str]
    seconds: float

    def run(self, case: Case, count: int) -> Figures:
        """Run a case, and return what it took."""
        with serve() as server, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run = self._in_triggerer if case.process == "triggerer" else self._in_process
            plan, start = run(case, count, server, folder)
            record = Record.load(folder / "result.json")
            return work_out(case.name, record, plan, server.samples(), start, folder / "log.jsonl")

    def _in_triggerer(self, case: Case, count: int, server: Server, folder: Path) -> tuple[dict[str, Any], float]:
        with Supervisor(case, [self.pythons[case.python]], server.environment(), folder) as triggerer:
            warm_up = server.begin(WARM_UP)
            triggerer.start(warm_up)
            if not triggerer.wait(range(1, 1 + WARM_UP), time.time() + PATIENCE):
                raise SystemExit(f"{case.name} did not see the end of operations that had ended")
            triggerer.rest(REST)
            start = time.time()
            plan = server.begin(count, lead(count), self.seconds)
            triggerer.start(plan)
            triggerer.wait(range(plan["first"], plan["first"] + count), plan["begin"] + self.seconds + PATIENCE)
            triggerer.rest(1)
            triggerer.stop()
        return plan, start

    def _in_process(self, case: Case, count: int, server: Server, folder: Path) -> tuple[dict[str, Any], float]:
        """Run it in a process that reads what to wait for, and says when that is done."""
        command = [self.pythons[case.python], *COMMANDS[case.process], case.name, server.url]
        with subprocess.Popen(
            [*command, str(folder / "result.json")],
            env=server.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin
            assert process.stdout
            _tell(process.stdin, case, server.begin(WARM_UP))
            if DONE not in process.stdout:
                raise SystemExit(f"{case.name} ended before its time")
            time.sleep(REST)
            start = time.time()
            plan = server.begin(count, lead(count), self.seconds)
            _tell(process.stdin, case, plan)
            os.set_blocking(process.stdout.fileno(), False)
            while (
                DONE not in process.stdout
                and process.poll() is None
                and time.time() < plan["begin"] + self.seconds + PATIENCE
            ):
                time.sleep(0.5)
            if process.poll() is not None:
                raise SystemExit(f"{case.name} ended before its time")
            time.sleep(1)  # until it has written down how it was
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise SystemExit(f"{case.name} did not end within {PATIENCE:.0f} s") from None
        return plan, start


def _tell(pipe: Any, case: Case, plan: dict[str, Any]) -> None:
    """Tell a process what to wait for; only the official client needs to know the operations as a whole."""
    operations = plan["operations"]
    ids = [operation["id"] for operation in operations]
    told = {"operations": operations} if case.process == "threads" else {"ids": ids, "ends": plan["ends"]}
    pipe.write(json.dumps({"first": plan["first"], **told}) + "\n")
    pipe.flush()


def lead(count: int) -> float:
    """Return the seconds in which all waits are started, before the first operation ends."""
    return 10 + count / 500


def main() -> None:
    """Run the cases one after the other, and print what came out."""
    parser = argparse.ArgumentParser(prog="benchmarks.waiting", description=__doc__)
    parser.add_argument("--providers-python", default=sys.executable, help="the Python that has the providers")
    parser.add_argument("--kit-python", default=sys.executable, help="the Python that has toloka-kit")
    parser.add_argument("--waits", type=_numbers, default=[100, 1_000, 10_000], metavar="N,N,...")
    parser.add_argument("--cases", type=_names, default=list(CASES), metavar=",".join(CASES))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="within how many seconds the operations end")
    parser.add_argument("--results", type=Path, help="a file of figures: those of other cases in it are kept")
    parser.add_argument("--write", action="store_true", help="write table and chart in docs/")
    options = parser.parse_args()
    pythons = {"ours": sys.executable, "providers": options.providers_python, "kit": options.kit_python}
    bench = Bench(pythons, options.seconds)
    results = _read(options.results)
    for count in options.waits:
        for name in options.cases:
            print(f"{CASES[name].title}, {count:,} waits ...", file=sys.stderr, flush=True)
            results[name, count] = figures = bench.run(CASES[name], count)
            print(page.line(figures), file=sys.stderr, flush=True)
            if options.results:
                options.results.write_text(json.dumps([asdict(one) for one in results.values()]))
    print(page.table(list(results.values())))
    if options.write:
        page.write(list(results.values()))


def _read(path: Path | None) -> dict[tuple[str, int], Figures]:
    kept = json.loads(path.read_text()) if path and path.exists() else []
    return {(one["case"], one["waits"]): Figures(**one) for one in kept}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    if unknown := set(text.split(",")) - CASES.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return text.split(",")


if __name__ == "__main__":
    main()
