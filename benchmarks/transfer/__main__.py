"""
How fast tasks are uploaded and answers downloaded, and in how much memory, beside two peers.

Run it by ``make bench-transfer``. Every case is a fresh process; they take turns, so that a slow moment of the machine
hits all of them. Printed are medians; a ratio is the median of the ratios within a round. The server runs in a process
of its own and gives prepared answers: how much of the time it was busy is printed, too.
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
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.transfer.case import WARM_UP
from benchmarks.transfer.server import source_line

SMALL = 10_000
PEERS = {
    "ours": "our operator",
    "plain": "requests and the standard library, no retries, no resuming",
    "kit": "toloka-kit 1.2.3",
}
GOAL_PLAIN = 0.8
GOAL_KIT = 3
GOAL_GROWTH = 40


@dataclass
class Result:
    """One case, done once."""

    rows: int
    seconds: float
    cpu: float
    peak: int
    server_cpu: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


@dataclass
class Bench:
    """The server, the files, and what was measured so far."""

    url: str
    folder: Path
    kit_python: str
    results: dict[tuple[str, str, int], list[Result]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[int, str] = field(default_factory=dict)

    def run(self, job: str, peer: str, rows: int) -> None:
        """Do one case in a process of its own."""
        target = self.folder / "out" / f"{rows}.jsonl"
        target.unlink(missing_ok=True)
        python = [self.kit_python, "-W", "ignore"] if peer == "kit" else [sys.executable]
        before = self._server_cpu()
        output = subprocess.check_output(
            [*python, "-m", f"benchmarks.transfer.{peer}", job, self.url, str(rows), str(self.folder)], text=True
        )
        server_cpu = self._server_cpu() - before
        self._check(job, peer, rows, target)
        result = Result(rows, server_cpu=server_cpu, **json.loads(output.splitlines()[-1]))
        self.results[job, peer, rows].append(result)
        print(f"  {job} {peer} {rows:,}: {result.seconds:.1f} s", file=sys.stderr, flush=True)

    def _server_cpu(self) -> float:
        with urllib.request.urlopen(f"{self.url}/counters") as answer:
            return float(json.load(answer)["cpu"])

    def _check(self, job: str, peer: str, rows: int, target: Path) -> None:
        with target.open("rb") as file:
            written = sum(1 for _ in file)
        if written != rows:
            raise SystemExit(f"{peer} wrote {written:,} rows instead of {rows:,} in the {job}")
        # The ids of uploaded tasks are new every time, and toloka-kit writes dates in its own way.
        if job == "download" and peer != "kit":
            with target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if self.answers.setdefault(rows, digest) != digest:
                raise SystemExit(f"{peer} wrote other rows than our operator in the {job}")

    def column(self, job: str, peer: str, rows: int, name: str) -> float:
        """Return the median of a figure."""
        return statistics.median(getattr(result, name) for result in self.results[job, peer, rows])

    def ratio(self, job: str, peer: str, rows: int, name: str) -> str:
        """Return ours to a peer's, and from where to where it went."""
        pairs = zip(self.results[job, "ours", rows], self.results[job, peer, rows], strict=True)
        ratios = sorted(getattr(ours, name) / getattr(theirs, name) for ours, theirs in pairs)
        return f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main() -> None:
    """Measure all cases in turn, and print what came out."""
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", description=__doc__)
    parser.add_argument("--kit-python", required=True, help="the Python that has toloka-kit")
    parser.add_argument("--tasks", type=int, default=200_000, help="how many tasks are uploaded")
    parser.add_argument("--answers", type=int, default=600_000, help="how many answers are downloaded")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=["plain", "kit"], default=["plain", "kit"])
    options = parser.parse_args()
    sizes = {"upload": options.tasks, "download": options.answers}
    with tempfile.TemporaryDirectory() as folder, serve(options.answers) as url:
        bench = Bench(url, Path(folder), options.kit_python)
        write_sources(bench.folder, {WARM_UP, SMALL, options.tasks})
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            for job, rows in sizes.items():
                bench.run(job, "ours", SMALL)
                for peer in ("ours", *options.peers):
                    bench.run(job, peer, rows)
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    for job, rows in sizes.items():
        report(bench, job, rows, options.peers)


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


def report(bench: Bench, job: str, rows: int, peers: list[str]) -> None:
    """Print the figures of one job."""
    print(f"\n{job} of {rows:,} rows")
    print(f"{'rows/s':>9} {'CPU/row':>8} {'server busy':>11} {'peak':>7}")
    for peer in ("ours", *peers):
        rate, cpu, peak, seconds, server = (
            bench.column(job, peer, rows, name) for name in ("rate", "cpu", "peak", "seconds", "server_cpu")
        )
        share = server / seconds
        print(f"{rate:9,.0f} {cpu / rows * 1e6:5.1f} us {share:11.0%} {peak / 1e6:4.0f} MB  {PEERS[peer]}")
    goals = {"plain": f", the goal is {GOAL_PLAIN}", "kit": f", the goal is {GOAL_KIT}" if job == "download" else ""}
    for peer in peers:
        print(f"rows/s to {peer}: {bench.ratio(job, peer, rows, 'rate')}{goals[peer]}")
        print(f"CPU to {peer}:    {bench.ratio(job, peer, rows, 'cpu')}")
    growth = bench.column(job, "ours", rows, "peak") - bench.column(job, "ours", SMALL, "peak")
    print(f"our memory grew by {growth / 1e6:.1f} MB from {SMALL:,} to {rows:,} rows, the goal is below {GOAL_GROWTH}")


if __name__ == "__main__":
    main()
