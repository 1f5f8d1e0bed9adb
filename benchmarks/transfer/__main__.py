"""
How fast tasks are uploaded and answers downloaded, and in how much memory, beside two peers and the build before.

Run it by ``make bench-transfer``. Every case is a fresh process; they take turns, so that a slow moment of the machine
hits all of them. Printed are medians; a ratio is the median of the ratios within a round. The server runs in a process
of its own, gives prepared answers, and waits before each of them as long as the case says: how much of the time it was
busy, and how many requests it got, is printed, too. Every peer asks for 300 assignments a page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.transfer import chart
from benchmarks.transfer.case import WARM_UP, Case, Result
from benchmarks.transfer.server import source_line

SMALL = 10_000
PARTS = ("download", "upload", "parquet", "memory", "before", "kit")
PEERS = {
    "ours": "our operator",
    "plain": "requests and the standard library, no retries, no resuming",
    "kit": "toloka-kit 1.2.3",
    "before": "our operator, in the build before",
}
GOALS = {
    ("download", "plain", 200): 6.0,
    ("download", "plain", 0): 2.5,
    ("download", "kit", 200): 12.0,
    ("parquet", "plain", 0): 1.5,
}
"""How many times as fast as a peer we are to be, at so many milliseconds per request."""
GOAL_CPU, GOAL_GROWTH, GOAL_REQUESTS = 0.4, 40, 0.05
CHART = Path(__file__).parents[2] / "docs" / "images" / "transfer.svg"


@dataclass
class Bench:
    """The server, the files, and what was measured so far."""

    url: str
    folder: Path
    kit_python: str
    before: Path | None
    results: dict[Case, list[Result]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[int, str] = field(default_factory=dict)

    def run(self, case: Case) -> None:
        """Do one case in a process of its own."""
        target = self.folder / "out" / f"{case.rows}.{'parquet' if case.job == 'parquet' else 'jsonl'}"
        target.unlink(missing_ok=True)
        python = [self.kit_python, "-W", "ignore"] if case.peer == "kit" else [sys.executable]
        module = f"benchmarks.transfer.{'ours' if case.peer == 'before' else case.peer}"
        before = self._counters(case.latency)
        output = subprocess.check_output(
            [*python, "-m", module, case.job, self.url, str(case.rows), str(self.folder)],
            text=True,
            cwd=self.before if case.peer == "before" else None,
        )
        after = self._counters(0)
        self._check(case, target)
        server = {"server_cpu": after["cpu"] - before["cpu"], "requests": int(after["requests"] - before["requests"])}
        result = Result(rows=case.rows, **server, **json.loads(output.splitlines()[-1]))
        self.results[case].append(result)
        print(f"  {case}: {result.seconds:.1f} s", file=sys.stderr, flush=True)

    def _counters(self, latency: int) -> dict[str, float]:
        """Return what the server has done, and let it wait from now on."""
        with urllib.request.urlopen(f"{self.url}/counters?latency={latency}") as answer:
            counters: dict[str, float] = json.load(answer)
            return counters

    def _check(self, case: Case, target: Path) -> None:
        if case.job == "parquet":
            import pyarrow.parquet

            written = pyarrow.parquet.ParquetFile(target).metadata.num_rows
        else:
            with target.open("rb") as file:
                written = sum(1 for _ in file)
        if written != case.rows:
            raise SystemExit(f"{case}: {written:,} rows were written")
        # The ids of uploaded tasks are new every time, and toloka-kit writes dates in its own way.
        if case.job == "download" and case.peer != "kit":
            with target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if self.answers.setdefault(case.rows, digest) != digest:
                raise SystemExit(f"{case}: other rows than before were written")

    def median(self, case: Case, name: str) -> float:
        """Return the median of a figure."""
        return statistics.median(getattr(result, name) for result in self.results[case])

    def ratios(self, case: Case, other: Case, name: str) -> list[float]:
        """Return a figure of one case to that of another, for each round that has both, in order."""
        pairs = zip(self.results.get(case, ()), self.results.get(other, ()), strict=False)
        return sorted(getattr(one, name) / getattr(theirs, name) for one, theirs in pairs)


def main() -> None:
    """Measure all cases in turn, and print what came out."""
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", description=__doc__)
    parser.add_argument("--kit-python", default="", help="the Python that has toloka-kit")
    parser.add_argument("--before", type=Path, help="another checkout, to compare the CPU with")
    parser.add_argument("-p", "--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("-l", "--latencies", nargs="*", type=int, default=[0, 50, 200], help="ms for each request")
    parser.add_argument("-t", "--tasks", type=int, default=200_000, help="how many tasks are uploaded")
    parser.add_argument("-a", "--answers", type=int, default=600_000, help="how many answers are downloaded")
    parser.add_argument("-k", "--kit-rows", type=int, default=100_000, help="how many rows toloka-kit moves, once")
    parser.add_argument(
        "-m", "--most", type=int, default=2_000_000, help="up to how many rows memory is to grow little"
    )
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="a file of figures: those of other cases in it are kept")
    parser.add_argument("--write", action="store_true", help=f"draw {CHART.relative_to(CHART.parents[2])}")
    options = parser.parse_args()
    if options.before:
        _check_before(options.before)
    with tempfile.TemporaryDirectory() as folder, serve(options.answers) as url:
        bench = Bench(url, Path(folder), options.kit_python, options.before)
        _read(bench, options.results)
        write_sources(bench.folder, {WARM_UP, options.tasks, options.kit_rows})
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            for case in cases(options, is_first=not number):
                bench.run(case)
                if options.results:
                    told = [[asdict(case), [asdict(one) for one in some]] for case, some in bench.results.items()]
                    options.results.write_text(json.dumps(told))
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    report(bench)
    if options.write:
        CHART.write_text("\n".join(chart.draw(bench.results, PEERS)) + "\n")


def cases(options: argparse.Namespace, *, is_first: bool) -> Iterator[Case]:
    """Iterate over the cases of a round."""
    parts = set(options.parts)
    for job, rows in (("download", options.answers), ("upload", options.tasks)):
        if job in parts:
            yield from _compared(options, job, rows)
    if "parquet" in parts:
        yield Case("parquet", "ours", options.answers, 0)
        if "download" not in parts:
            yield Case("download", "plain", options.answers, 0)
    if "memory" in parts:
        yield from (Case("download", "ours", rows, 0) for rows in (SMALL, options.most))
    if "kit" in parts and options.kit_python and is_first:
        jobs = parts & {"download", "upload"} or {"download", "upload"}
        yield from (Case(job, peer, options.kit_rows, 200) for job in sorted(jobs) for peer in ("ours", "kit"))


def _compared(options: argparse.Namespace, job: str, rows: int) -> Iterator[Case]:
    for latency in options.latencies:
        yield from (Case(job, peer, rows, latency) for peer in ("ours", "plain"))
        if options.before and "before" in options.parts:
            yield Case(job, "before", rows, latency)


def _check_before(checkout: Path) -> None:
    """Make sure that a checkout runs with its own package."""
    code = "import toloka_airflow; print(toloka_airflow.__file__)"
    found = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True, cwd=checkout)
    if checkout.resolve() not in Path(found.strip().splitlines()[-1]).resolve().parents:
        raise SystemExit(f"--before is {checkout}, but there the package is {found.strip()}")


def _read(bench: Bench, path: Path | None) -> None:
    if path and path.exists():
        for case, results in json.loads(path.read_text()):
            bench.results[Case(**case)] = [Result(**result) for result in results]


@contextmanager
def serve(answers: int) -> Iterator[str]:
    """Start the server, and yield where it is."""
    command = [sys.executable, "-m", "benchmarks.transfer.server", str(answers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


def write_sources(folder: Path, sizes: set[int]) -> None:
    """Write the files that are uploaded."""
    (folder / "out").mkdir()
    for rows in sizes:
        with (folder / f"tasks_{rows}.jsonl").open("wb") as file:
            file.writelines(map(source_line, range(rows)))


def report(bench: Bench) -> None:
    """Print the figures, and how they are to the goals."""
    print(f"{'rows/s':>9} {'CPU/row':>8} {'requests':>8} {'server busy':>11} {'peak':>7}")
    for case in sorted(bench.results, key=lambda case: (case.job, case.latency, case.rows)):
        rate, cpu, peak, seconds, server, requests = (
            bench.median(case, name) for name in ("rate", "cpu", "peak", "seconds", "server_cpu", "requests")
        )
        print(
            f"{rate:9,.0f} {cpu / case.rows * 1e6:5.1f} us {requests:8,.0f} {server / seconds:11.0%} "
            f"{peak / 1e6:4.0f} MB  {case}"
        )
    for case in bench.results:
        if case.peer == "ours":
            _compare(bench, case)
    _report_growth(bench)


def _compare(bench: Bench, case: Case) -> None:
    for peer in ("plain", "before", "kit"):
        other = Case("download" if case.job == "parquet" else case.job, peer, case.rows, case.latency)
        if not (ratios := bench.ratios(case, other, "rate")):
            continue
        goal = GOALS.get((case.job, peer, case.latency))
        wanted = f", the goal is {goal:g}" if goal else ""
        spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{case}: {statistics.median(ratios):.2f} times {peer} {spread}{wanted}")
        if peer == "before" and case.job == "download":
            share = statistics.median(bench.ratios(case, other, "cpu"))
            print(f"{case}: {share:.0%} of the CPU of the build before, the goal is {GOAL_CPU:.0%}")
        if peer == "plain" and case.job == "download":
            more = bench.median(case, "requests") / bench.median(other, "requests") - 1
            print(f"{case}: {more:+.1%} requests, the goal is up to {GOAL_REQUESTS:.0%}")


def _report_growth(bench: Bench) -> None:
    sizes = [case for case in bench.results if (case.job, case.peer, case.latency) == ("download", "ours", 0)]
    small, large = (pick(sizes, key=lambda case: case.rows, default=None) for pick in (min, max))
    if small and large and small.rows < large.rows:
        growth = bench.median(large, "peak") - bench.median(small, "peak")
        print(
            f"our memory grew by {growth / 1e6:.1f} MB from {small.rows:,} to {large.rows:,} rows, "
            f"the goal is below {GOAL_GROWTH}"
        )


if __name__ == "__main__":
    main()
