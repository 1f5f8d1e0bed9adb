"""
Disturb a fleet of its own while it labels, and judge what came of it. Everything is in ``.chaos``, wiped at the start.

Exit code 0: nothing was open outside its time, doubled, missing or falsely green, and each failed run is explained; 1
if not; 2 if it could not be tried. The page ``.chaos/chaos.html`` shows it; ``--draw`` draws it again from the records.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from fleet.__main__ import UpError, bring_up
from fleet.chaos import bag, page
from fleet.chaos.collection import collect
from fleet.chaos.disturbances import DISTURBANCES, Scene
from fleet.chaos.driver import Disturber, Journal, disturb, note_clock, say
from fleet.chaos.judgement import Verdict, judge
from fleet.chaos.records import Records
from fleet.chaos.rounds import TASKS, Rounds
from fleet.chaos.toloka import Toloka
from fleet.lane import Lane, take_down
from fleet.packages import MissingError
from fleet.settings import ROOT, Options, run_by_root

HOME = ROOT / ".chaos"
MEGABYTES_A_MINUTE = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    home: Path = arguments.home.absolute()
    if arguments.draw:
        return _judge(Records(home / "records"), home)
    signal.signal(signal.SIGTERM, _leave)
    try:
        with _results(home, arguments) as results:
            return chaos(home, results, arguments)
    except (UpError, MissingError) as exc:
        print(exc, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Ended before its time; nothing is judged.", file=sys.stderr)
        return 2


def chaos(home: Path, results: Path | None, arguments: argparse.Namespace) -> int:
    """Bring up a fleet, disturb it, judge, and take it down whatever happens."""
    fleet = home / "fleet"
    records = Records(home / "records")
    if arguments.minutes < bag.minutes_for_all(list(DISTURBANCES)):
        say(f"{arguments.minutes:g} minutes may be too short for all {len(DISTURBANCES)} kinds of disturbances")
    try:
        bring_up(fleet, Options(dags=str(ROOT / "fleet" / "dags"), speed=1.0))
        lane = Lane(fleet)
        toloka = Toloka(lane.toloka_url)
        scene = Scene(lane, toloka, results, partial(note_clock, records, toloka))
        token = secrets.token_hex(16)
        toloka.begin()
        toloka.accept(token)
        scene.connect(token, new=True)
        for dag_id in TASKS:
            lane.api.wait_for_dag(dag_id, timeout=180)
        records.add("about", {"seed": arguments.seed, "minutes": arguments.minutes, "began": time.time()})
        scene.note_clock()
        rounds = Rounds(lane, results or lane.files, arguments.at_once)
        steps = bag.steps(list(DISTURBANCES), arguments.seed)
        disturb(Disturber(scene, records, steps), rounds, Journal(toloka, records), arguments.minutes)
        say("Comparing files and Toloka")
        collect(records, lane, scene.token, results or lane.files)
        for leak in leaks(scene.tokens, home):
            records.add("leaks", {"where": leak})
        return _judge(records, home)
    finally:
        say("Taking the fleet down")
        take_down(fleet, keep=home / "kept")


def _judge(records: Records, home: Path) -> int:
    verdict = judge(records, list(DISTURBANCES))
    (home / "chaos.html").write_text(page.draw(records, verdict))
    print(summary(verdict))
    print(f"The page: {home / 'chaos.html'}")
    return 0 if verdict.is_good else 1


def leaks(tokens: Sequence[str], folder: Path) -> Iterator[str]:
    """Yield the files below a folder in which one of the tokens stands: logs, results, records."""
    secret = [token.encode() for token in tokens]
    for file in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):  # the fleet runs on, and removes some of its own
            if file.is_file() and any(token in file.read_bytes() for token in secret):
                yield str(file.relative_to(folder))


def summary(verdict: Verdict) -> str:
    """Return the verdict as lines for a terminal."""
    lines = [f"NOT explained: {each.run.name}" for each in verdict.unexplained]
    for each in verdict.explanations:
        lines += [f"failed: {each.run.name}", *(f"    {reason}" for reason in each.reasons)]
    lines += [f"note: {note}" for note in verdict.notes]
    lines += [f"not tried: {shortfall}" for shortfall in verdict.shortfalls]
    lines += [f"VIOLATION: {violation}" for violation in verdict.violations]
    said = "The three rules were kept" if verdict.is_good else "Not good"
    return "\n".join([*lines, f"{said}: {len(verdict.violations)} violations"])


@contextmanager
def _results(home: Path, arguments: argparse.Namespace) -> Iterator[Path | None]:
    """
    Make the home anew, with a small file system for the results; only root can mount one.

    Without it, a full disk is not tried, and the verdict says so.
    """
    if arguments.results and not arguments.results.is_mount():
        raise UpError(f"{arguments.results} is no file system of its own, and would be filled to the brim.")
    results = home / "results"
    if results.is_mount():
        subprocess.run(["umount", "--lazy", str(results)], check=True)
    take_down(home / "fleet")
    if home.exists() and not (home / "records").exists():
        raise UpError(f"{home} exists and is not the home of a time of chaos. Choose another one by --home.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if arguments.results or not run_by_root():
        yield arguments.results
        return
    results.mkdir()
    size = f"size={int(64 + MEGABYTES_A_MINUTE * arguments.minutes)}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "chaos", str(results)], check=True)
    try:
        yield results
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)


def _leave(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleet.chaos", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=20.0, help="how long to disturb (20)")
    add("--seed", type=int, default=1, help="the same one gives the same disturbances in the same order (1)")
    add("--at-once", type=int, default=7, help="rounds on the way at a time (7)")
    add("--home", type=Path, default=HOME, help="the folder with all of it (.chaos)")
    add("--results", type=Path, help="a small file system of its own; by default one is mounted, if we are root")
    add("--draw", action="store_true", help="judge and draw the records that are there, without a fleet")
    return parser


if __name__ == "__main__":
    sys.exit(main())
