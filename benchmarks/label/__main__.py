"""
What labels of a given accuracy cost, in answers that are paid for.

Run it by ``make bench-label``: one or two minutes. ``--write`` puts the figures and the picture into ``docs/``. It ends
with an error if `label_until` does not reach, on the mixed crowd, the accuracy of five answers per task with 65 % of
them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.emulator import progress
from benchmarks.label.chart import Point, draw
from benchmarks.label.crowds import CROWDS, MIXED, REPORTING_SEEDS, Crowd, digits
from benchmarks.label.figures import Spread
from benchmarks.label.strategies import Dynamic, Fixed, LabelUntil, Outcome, Strategy, outcomes
from docs import made_parts
from toloka_airflow.quality.doubts import SURE_AT

DOCS = Path(__file__).resolve().parents[2] / "docs"
GOAL_SHARE, GOAL_OVERLAP = 0.65, 5
GOAL = LabelUntil(budget=GOAL_SHARE * GOAL_OVERLAP)
SURER = LabelUntil(target=0.99, sure_at=0.99)
CONFIDENCES = (0.8, 0.9, 0.95, 0.99)

KINDS: Mapping[str, Sequence[Strategy]] = {
    "fixed": [Fixed(overlap) for overlap in (3, 5, 7)],
    "dynamic": [Dynamic(confidence) for confidence in CONFIDENCES],
    "known": [Dynamic(confidence, skills_known=True) for confidence in CONFIDENCES],
    "until": [LabelUntil(budget=2.75), GOAL, LabelUntil(), SURER],
}
LEGEND = {
    "fixed": "the same overlap for all tasks: 3, 5, 7",
    "dynamic": "Toloka's dynamic overlap, 2 to 10, min_confidence 0.8 to 0.99",
    "known": "the same, if everybody's skill were known exactly",
    "until": "label_until: 2.75 answers per task, 3.25, no budget, 0.99 for 0.95",
}
ROWS: Mapping[str, Strategy] = {
    "overlap 3": Fixed(3),
    "overlap 5": Fixed(5),
    "overlap 7": Fixed(7),
    "dynamic overlap, 3 to 5, 0.9 (Toloka's example)": Dynamic(0.9, first=3, max_overlap=5),
    "dynamic overlap, 2 to 10, 0.95": Dynamic(0.95),
    "the same, all skills known": Dynamic(0.95, skills_known=True),
    "**`label_until`, 3.25 answers per task**": GOAL,
    "**`label_until`, no budget**": LabelUntil(),
    "**the same, `target` and `sure_at` 0.99**": SURER,
}
NAMES = {
    "mixed": "mixed: 30 people, right in 55 to 95 %, a tenth at chance",
    "good": "good: 30 people, right in 85 to 97 %",
    "spammers": "spammers: as mixed, but three in ten are spammers",
    "digits": "digits: the mixed people, and 1,797 digits",
}
Results = dict[tuple[str, Strategy], list[Outcome]]


def main() -> None:
    """Measure all crowds."""
    parser = argparse.ArgumentParser(prog="benchmarks.label", description=__doc__)
    parser.add_argument("--seeds", type=int, default=len(REPORTING_SEEDS), help="how many of the reporting seeds")
    parser.add_argument("--write", action="store_true", help="write the figures and the picture in docs/")
    options = parser.parse_args()
    begin = time.perf_counter()
    crowds = (*CROWDS, digits())
    results = measure(crowds, REPORTING_SEEDS[: options.seeds])
    names = [crowd.name for crowd in crowds]
    lines = [*table(results, names), "", *verdict(results, names)]
    print("\n".join(lines))
    print(f"{time.perf_counter() - begin:.0f} s, {os.cpu_count()} cores")
    if options.write:
        write(lines, picture(results, names))
    if not is_reached(results):
        sys.exit(f"label_until did not reach overlap {GOAL_OVERLAP} with {GOAL_SHARE:.0%} of its answers")


def measure(crowds: Sequence[Crowd], seeds: Sequence[int]) -> Results:
    """Return what all strategies come to with all crowds, by the seeds in their order."""
    strategies = list(dict.fromkeys([*ROWS.values(), *(each for kind in KINDS.values() for each in kind)]))
    results: Results = {(crowd.name, strategy): [] for crowd in crowds for strategy in strategies}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1), mp_context=context) as processes:
        jobs = {
            processes.submit(outcomes, crowd, seed, strategies): (crowd.name, seed)
            for crowd in crowds
            for seed in seeds
        }
        done = {}
        for number, job in enumerate(as_completed(jobs), 1):
            done[jobs[job]] = job.result()
            progress(f"{number} of {len(jobs)}: {jobs[job][0]}, seed {jobs[job][1]}")
    for (name, _), of_seed in sorted(done.items()):
        for strategy, each in zip(strategies, of_seed, strict=True):
            results[name, strategy].append(each)
    return results


def table(results: Results, crowds: Sequence[str]) -> Iterator[str]:
    """Yield the figures as a table of Markdown."""
    yield "| Crowd | Strategy | Answers per task | Labels that are right | Beside overlap 5, in points |"
    yield "| --- | --- | --- | --- | --- |"
    for crowd in crowds:
        for name, strategy in ROWS.items():
            some = results[crowd, strategy]
            answers, accuracy = Spread.of(each.answers for each in some), Spread.of(each.accuracy for each in some)
            beside = Spread.of(100 * gain for gain in gains(results, crowd, strategy)).text("+.1f")
            cells = (answers.text(".2f"), accuracy.text(".1%"), "" if strategy == Fixed(GOAL_OVERLAP) else beside)
            yield f"| {crowd} | {name} | {' | '.join(cells)} |"


def gains(results: Results, crowd: str, strategy: Strategy) -> list[float]:
    """Return by how much more labels are right than with five answers per task, seed by seed."""
    fixed = results[crowd, Fixed(GOAL_OVERLAP)]
    return [ours.accuracy - theirs.accuracy for ours, theirs in zip(results[crowd, strategy], fixed, strict=True)]


def is_reached(results: Results) -> bool:
    """Return whether the goal is reached: its answers with every seed, the accuracy in the median."""
    paid = max(each.answers for each in results[MIXED.name, GOAL]) / GOAL_OVERLAP
    return paid <= GOAL_SHARE and Spread.of(gains(results, MIXED.name, GOAL)).median >= 0


def verdict(results: Results, crowds: Sequence[str]) -> Iterator[str]:
    """Yield in words what the table says of the goal, and whether sure labels are right."""
    some = gains(results, MIXED.name, GOAL)
    paid = Spread.of(each.answers / GOAL_OVERLAP for each in results[MIXED.name, GOAL])
    gain = Spread.of(100 * each for each in some)
    yield (
        f"With 3.25 answers per task on the mixed crowd, `label_until` paid for {paid.text('.0%')} of the answers of "
        f"overlap {GOAL_OVERLAP}. {gain.text('+.1f')} points more of its labels are right; with "
        f"{sum(each >= 0 for each in some)} of {len(some)} seeds at least as many are."
    )
    yield ""
    right = {crowd: Spread.of(each.right_if_sure for each in results[crowd, LabelUntil()]) for crowd in crowds}
    shown = ", ".join(f"{spread.text('.1%')} on {crowd}" for crowd, spread in right.items())
    yield f"Of the labels that are sure by {SURE_AT:g} or more without a budget, are right: {shown}."


def picture(results: Results, crowds: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the picture."""

    def point(crowd: str, strategy: Strategy) -> Point:
        some = results[crowd, strategy]
        text = str(strategy.overlap) if isinstance(strategy, Fixed) else ""
        return Point(Spread.of(each.answers for each in some), Spread.of(each.accuracy for each in some), text)

    fields = {
        NAMES[crowd]: {kind: [point(crowd, each) for each in some] for kind, some in KINDS.items()} for crowd in crowds
    }
    seeds = len(results[crowds[0], GOAL])
    return draw(
        fields, LEGEND, f"Labels that are right, by the answers that are paid for: median and range, {seeds} seeds"
    )


def write(lines: Sequence[str], shown: Iterator[str]) -> None:
    """Write the figures and the picture."""
    made_parts.write(DOCS / "quality.md", {"label": "\n".join(("", *lines, "", ""))})
    (DOCS / "images" / "label.svg").write_text("\n".join(shown) + "\n")


if __name__ == "__main__":
    main()
