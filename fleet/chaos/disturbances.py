"""
The fourteen ways in which the fleet is disturbed.

Each is a function that does it and returns what it did, None if there was nobody to hit. What has to be ended later,
such as a full disk, is given to `Scene.later`; which processes were killed is added to `Scene.killed`.
"""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    import psutil

    from fleet.chaos.toloka import Toloka
    from fleet.lane import Lane

UNREACHABLE = 20.0
CLOCK_STEP, CLOCK_WRONG_FOR = 30.0, 60.0
FAULTY, FAULTY_FOR = 0.02, 120.0
FULL_FOR = 20.0
OLD_TOKEN_FOR = 15.0
"""Seconds for which Toloka still takes the old token: whoever rotates one changes the connection first."""
CONNECTION = "toloka_chaos"
PATIENCE = 60.0
"""Seconds in which Airflow's API must take a changed connection; it may be restarting."""


class Scene:
    """
    What is disturbed.

    :param results: A small file system of its own for the results; None if there is none that could be full.
    :param note_clock: Called whenever Toloka's clock is about to run, or begins to run, otherwise.
    """

    def __init__(self, lane: Lane, toloka: Toloka, results: Path | None, note_clock: Callable[[], None]) -> None:
        self.lane = lane
        self.toloka = toloka
        self.results = results
        self.note_clock = note_clock
        self.tokens: list[str] = []
        self.killed: list[int] = []
        self._later: list[tuple[float, Callable[[], None]]] = []

    @property
    def token(self) -> str:
        """The token that Airflow's connection has."""
        return self.tokens[-1]

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds."""
        self._later.append((time.monotonic() + seconds, action))

    def end_due(self, *, all_of_them: bool = False) -> None:
        """End what is due, all of it even if one of them fails."""
        now = time.monotonic()
        due = [each for each in self._later if all_of_them or each[0] <= now]
        self._later = [each for each in self._later if each not in due]
        with ExitStack() as ending:
            for _, action in due:
                ending.callback(action)

    def numbered(self, kind: str, choice: float) -> list[str]:
        """Return the components of a kind, the chosen one first."""
        names = [name for name in self.lane.names if name.partition(".")[0] == kind]
        first = int(choice * len(names))
        return names[first:] + names[:first]

    def connect(self, token: str, *, new: bool = False) -> None:
        """Have Airflow use a token from now on; the connection is in its database."""
        body: dict[str, Any] = {"connection_id": CONNECTION, "conn_type": "toloka", "host": self.toloka.url}
        body["password"] = token
        method, path = ("POST", "/connections") if new else ("PATCH", f"/connections/{CONNECTION}")
        insist(lambda: self.lane.api.call(method, path, json=body))
        if token not in self.tokens:
            self.tokens.append(token)


def insist(call: Callable[[], Any]) -> Any:
    """Make a call of Airflow's API until it is answered well: the API server may be restarting."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except requests.RequestException:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _task_process(scene: Scene, choice: float) -> str | None:
    if not (pairs := list(scene.lane.supervised())):
        return None
    _, task = pairs[int(choice * len(pairs))]
    return _kill(scene, task, "the process of a task")


def _supervisor(scene: Scene, choice: float) -> str | None:
    if not (pairs := list(scene.lane.supervised())):
        return None
    supervisor, _ = pairs[int(choice * len(pairs))]
    return _kill(scene, supervisor, "the supervisor of a task, alone")


def _kill(scene: Scene, victim: psutil.Process, what: str) -> str:
    below = victim.children(recursive=True)
    victim.kill()
    scene.killed += [each.pid for each in (victim, *below)]
    return f"killed {what} (process {victim.pid})"


def _component(kind: str) -> Disturb:
    def kill(scene: Scene, choice: float) -> str:
        name = scene.numbered(kind, choice)[0]
        everyone = [each.pid for each in scene.lane.family(name)]
        scene.lane.kill(name)
        scene.killed += everyone
        return f"killed {name} with all its processes"

    return kill


def _api_server(scene: Scene, choice: float) -> str:
    scene.lane.kill("api-server")
    return "killed the API server"


def _redis(scene: Scene, choice: float) -> str:
    scene.lane.kill("redis", signal.SIGTERM)
    return "restarted Redis"


def _postgres(scene: Scene, choice: float) -> str:
    scene.lane.kill("postgres", signal.SIGINT)
    return "restarted PostgreSQL, cutting all connections"


def _postgres_unreachable(scene: Scene, choice: float) -> str:
    scene.lane.pause("postgres", UNREACHABLE)
    return f"PostgreSQL did not answer for {UNREACHABLE:.0f} s"


def _clock(scene: Scene, choice: float) -> str:
    scene.note_clock()
    scene.toloka.step(CLOCK_STEP)
    scene.toloka.set_speed(1 - CLOCK_STEP / CLOCK_WRONG_FOR)
    scene.note_clock()
    scene.later(CLOCK_WRONG_FOR, partial(_clock_is_right, scene))
    return f"Toloka's clock went forward by {CLOCK_STEP:.0f} s, and was right again {CLOCK_WRONG_FOR:.0f} s later"


def _clock_is_right(scene: Scene) -> None:
    scene.toloka.set_speed(1)
    scene.note_clock()


def _faults(scene: Scene, choice: float) -> str:
    scene.toloka.break_calls(FAULTY)
    scene.later(FAULTY_FOR, scene.toloka.mend_calls)
    return f"{FAULTY:.0%} of the calls go wrong for {FAULTY_FOR:.0f} s"


def _full_disk(scene: Scene, choice: float) -> str | None:
    if scene.results is None:
        return None
    filler = scene.results / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(64 * 1024))
    scene.later(FULL_FOR, lambda: filler.unlink(missing_ok=True))
    return f"the disk for results was full for {FULL_FOR:.0f} s"


def _token(scene: Scene, choice: float) -> str:
    old, new = scene.token, secrets.token_hex(16)
    scene.toloka.accept(old, new)
    scene.connect(new)
    scene.later(OLD_TOKEN_FOR, lambda: scene.toloka.accept(new))
    return f"changed the token of the connection; the old one was refused {OLD_TOKEN_FOR:.0f} s later"


Disturb = Callable[[Scene, float], str | None]

DISTURBANCES: dict[str, tuple[Disturb, float]] = {
    "task process": (_task_process, 0),
    "worker": (_component("worker"), 0),
    "supervisor": (_supervisor, 0),
    "scheduler": (_component("scheduler"), 0),
    "triggerer": (_component("triggerer"), 0),
    "DAG processor": (_component("dag-processor"), 0),
    "API server": (_api_server, 0),
    "Redis": (_redis, 0),
    "PostgreSQL": (_postgres, 0),
    "PostgreSQL unreachable": (_postgres_unreachable, 0),
    "clock step": (_clock, CLOCK_WRONG_FOR),
    "faulty calls": (_faults, FAULTY_FOR),
    "full disk": (_full_disk, FULL_FOR),
    "rotated token": (_token, OLD_TOKEN_FOR),
}
"""Each by its name, with how many seconds it lasts beyond the call."""
