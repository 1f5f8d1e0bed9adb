"""The state of a DAG run in the terminal: redrawn in place, or a line for each change where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

COLOURS = {"success": "green", "failed": "red", "running": "cyan", "deferred": "magenta"}
WORDS = {"deferred": "deferred, waits in the triggerer", None: "-"}
ACTIVE = {"running", "deferred"}
STEP = 10
"""Where there is no terminal, the bar is a line every so many percent."""


class RunProgress:
    """
    Show the tasks of a run and how far the pool is.

    Use it as a context manager and call `update` with what is known now.

    :param console: Where to print.
    :param task_ids: The tasks in the order to show them.
    """

    def __init__(self, console: Console, task_ids: Sequence[str]) -> None:
        self._console = console
        self._states: dict[str, str | None] = dict.fromkeys(task_ids)
        self._since = dict.fromkeys(task_ids, time.monotonic())
        self._started = time.monotonic()
        self._percent: float | None = None
        self._live = Live(self, console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> RunProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, states: Mapping[str, str | None], percent: float | None = None) -> None:
        """
        Take over what is known now.

        :param states: The state of each task.
        :param percent: How much of the pool is answered; ``None`` if there is no pool yet.
        """
        for task_id, state in states.items():
            if state != self._states.get(task_id):
                self._states[task_id] = state
                self._since[task_id] = time.monotonic()
                self._say(f"{task_id}: {WORDS.get(state, state)}")
        if percent is not None and percent != self._percent:
            if self._percent is None or percent // STEP > self._percent // STEP:
                self._say(f"pool: {percent:.0f} % answered")
            self._percent = percent

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._console.print(f"{seconds:6.1f} s  {line}", highlight=False, markup=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        for task_id, state in self._states.items():
            colour = COLOURS.get(state or "", "dim")
            words = f"[{colour}]{WORDS.get(state, state)}[/]"
            seconds = f"[dim]{time.monotonic() - self._since[task_id]:.0f} s[/]"
            table.add_row(f"[{colour}]●[/]", task_id, words, seconds if state in ACTIVE else "")
        yield table
        if self._percent is not None:
            bar = ProgressBar(total=100, completed=self._percent, width=40)
            grid = Table.grid(padding=(0, 2))
            grid.add_row("pool", bar, f"{self._percent:.0f} % answered")
            yield grid
