"""
Dawid and Skene's method beside that of crowd-kit, what aggregating takes of memory, and what a confidence means.

Run it by ``make bench-quality``. Each fit has a process of its own, and both libraries take turns. Seconds are those
for which the process had a processor, as the machine may have much else to do. ``--write`` puts the figures and the
diagrams into ``docs/``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.label import crowds
from benchmarks.quality import harder
from benchmarks.quality.calibration import SIZES, Result, all_results, expected_error
from benchmarks.quality.chart import draw
from docs import made_parts
from toloka_airflow.quality.methods import METHODS, Votes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FITS = {100_000: 5, 1_000_000: 3}
"""How many times each number of answers is fitted."""
WANTED = {100_000: 5, 1_000_000: 8}
"""How many times as fast as crowd-kit it must be at least."""
WANTED_EQUAL, WANTED_MEMORY, WANTED_ERROR = 0.999, 600, 0.03
SHOWN = SIZES[3]
"""Of which the diagrams are: the size that is hardest."""


def run(python: str, module: str, *arguments: str) -> dict[str, float]:
    """Run a module in a process of its own, and return what it prints."""
    command = [python, "-m", f"benchmarks.quality.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return figures


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median, and the least and the most in parentheses."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def prose(text: str) -> list[str]:
    """Return the lines of a paragraph."""
    return textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)


def compare(kit_python: str) -> Iterator[str]:
    """Yield the rows of the table of speed; raise if it is not fast enough."""
    yield "| Answers | `dawid_skene` | crowd-kit | As fast | By clock | `dawid_skene_map` | Steps | Equal labels |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    imports: dict[str, list[float]] = {"ours": [], "kit": []}
    for answers, times in FITS.items():
        ours, theirs, equal = [], [], []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(times):
                ours.append(run(sys.executable, "fit", "ours", str(answers), f"{folder}/ours.npy"))
                theirs.append(run(kit_python, "fit", "crowd-kit", str(answers), f"{folder}/kit.npy"))
                equal.append(float(np.mean(np.load(f"{folder}/ours.npy") == np.load(f"{folder}/kit.npy"))))
                print(answers, ours[-1], theirs[-1], equal[-1], file=sys.stderr)
        imports["ours"] += [each["import"] for each in ours]
        imports["kit"] += [each["import"] for each in theirs]
        fits = [each["fit"] for each in ours], [each["fit"] for each in theirs]
        factor = statistics.median(fits[1]) / statistics.median(fits[0])
        clock = statistics.median(each["clock"] for each in theirs) / statistics.median(each["clock"] for each in ours)
        yield (
            f"| {answers:,} | {spread(fits[0])} | {spread(fits[1])} | {factor:.0f} times | {clock:.0f} times | "
            f"{spread([each['map'] for each in ours])} | {theirs[0]['iterations']:.0f} | {min(equal):.2%} |"
        )
        if factor < WANTED[answers] or min(equal) < WANTED_EQUAL:
            raise SystemExit(f"{answers:,} answers: {factor:.1f} times as fast, {min(equal):.3%} of the labels equal")
    yield ""
    yield from prose(
        f"Importing takes {spread(imports['ours'])} s here, and {spread(imports['kit'])} s with crowd-kit and pandas."
    )


def remember(answers: int = 1_000_000) -> Iterator[str]:
    """Yield what the memory is; raise if it is too much."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "memory", "write", str(answers), folder)
        found = run(sys.executable, "memory", str(answers), folder)
    print(found, file=sys.stderr)
    yield from prose(
        f"A file of {answers:,} answers is read into columns in {found['read']:.0f} s and aggregated by "
        f"`dawid_skene_map` in {found['map']:.1f} s; at its peak this takes {found['columns']:.0f} MB more than the "
        f"interpreter alone. `aggregate_answers`, which also writes the labels with the inputs of the tasks, takes "
        f"{found['seconds']:.0f} s and {found['all']:.0f} MB, of which Airflow's own modules are a part."
    )
    if max(found["columns"], found["all"]) > WANTED_MEMORY:
        raise SystemExit(f"{answers:,} answers: {found}")


def calibrate(results: Sequence[Result]) -> Iterator[str]:
    """Yield the rows of the table of calibration; raise if a confidence is none."""
    yield "| Crowd | Tasks | Answers to each | Of each person | `dawid_skene_map` | `dawid_skene` | `majority_vote` |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    cases = list(dict.fromkeys((each.crowd, each.size) for each in results))
    for crowd, (tasks, overlap, each) in cases:
        found = {r.method: r for r in results if (r.crowd, r.size) == (crowd, (tasks, overlap, each))}
        columns = [
            f"{statistics.median(found[name].errors):.3f} ({max(found[name].errors):.3f}); "
            f"{statistics.median(found[name].accuracies):.1%}"
            for name in ("dawid_skene_map", "dawid_skene", "majority_vote")
        ]
        yield f"| {crowd} | {tasks:,} | {overlap} | {each:,} | {' | '.join(columns)} |"
        error = statistics.median(found["dawid_skene_map"].errors)
        if crowd != crowds.SPAMMERS.name and error > WANTED_ERROR:
            raise SystemExit(f"dawid_skene_map is no confidence: {crowd}, {tasks} tasks: {error:.3f}")


def label_digits(overlap: int = 3) -> Iterator[str]:
    """Yield what the methods make of the digits of scikit-learn, of which each is known."""
    crowd = crowds.digits()
    yield "| Method | Right labels | Calibration error |"
    yield "| --- | --- | --- |"
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for seed in crowds.REPORTING_SEEDS:
        answers = crowds.simulate(crowd, seed)
        votes = Votes(*answers.given(overlap), crowd.tasks, crowd.people, crowd.classes)
        known = np.where(np.arange(crowd.tasks) % 20 == 0, answers.truth, -1).astype(np.int32)
        for name, method in METHODS.items():
            result = method(votes, known) if name == "weighted_vote" else method(votes)
            is_right = (result.labels == answers.truth)[known < 0]
            found[name].append((float(is_right.mean()), expected_error(result.scores[known < 0], is_right)))
    for name, each in found.items():
        right, errors = zip(*each, strict=True)
        share = f"{statistics.median(right):.1%} ({min(right):.1%} to {max(right):.1%})"
        yield f"| `{name}` | {share} | {spread(errors, 3)} |"


def figures(results: Sequence[Result], kit_python: str) -> Iterator[str]:
    """Yield the lines that are written into the documentation."""
    day = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    yield from prose(
        f"Measured on {day} with Python {platform.python_version()} and numpy {np.__version__} on {os.cpu_count()} "
        "cores that had much else to do, so seconds are those of the processor; medians, with the least and the most."
    )
    yield ""
    yield from compare(kit_python)
    yield ""
    yield from remember()
    yield ""
    yield from prose(
        f"The expected calibration error, median and greatest of {len(crowds.REPORTING_SEEDS)} seeds; and the share of "
        "right labels:"
    )
    yield ""
    yield from calibrate(results)
    yield ""
    yield from prose(
        "The 1,797 digits of scikit-learn, three answers to each by the mixed people, who take digits for those that "
        "look alike; every twentieth is a control task for `weighted_vote`, and is not counted:"
    )
    yield ""
    yield from label_digits()


def write(parts: Mapping[str, Sequence[str]], results: Sequence[Result]) -> None:
    """Put the figures and the diagrams into the documentation."""
    made_parts.write(DOCS / "quality.md", {name: "\n".join(lines) + "\n" for name, lines in parts.items()})
    shown = [each for each in results if each.size == SHOWN]
    what = f"{SHOWN[0]:,} tasks with {SHOWN[1]} answers, {SHOWN[2]} answers of each person"
    (DOCS / "images" / "reliability.svg").write_text("\n".join(draw(shown, what)) + "\n")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kit-python", required=True, help="the interpreter of an environment with crowd-kit")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/")
    arguments = parser.parse_args()
    results = list(all_results())
    parts = {"quality": list(figures(results, arguments.kit_python)), "too-sure": list(harder.rows())}
    for lines in parts.values():
        print("\n".join(lines), end="\n\n")
    if arguments.write:
        write(parts, results)


if __name__ == "__main__":
    main()
