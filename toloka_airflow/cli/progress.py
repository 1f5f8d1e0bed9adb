"""That a command which takes long still runs, for a person who waits at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

_CLEAR_LINE = "\r\x1b[K"


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[float], None]]:
    """
    Say on standard error what is done, if that is a terminal and it takes longer than a second.

    It gives a function to call with the share of the work that is done, from 0 to 1; until then, seconds are shown.
    """
    share = 0.0

    def on_progress(done: float) -> None:
        nonlocal share
        share = done

    if not sys.stderr.isatty():
        yield on_progress
        return
    ended = Event()

    def show() -> None:
        start, shown = time.monotonic(), False
        while not ended.wait(1):
            state = f"{share:.0%}" if share else f"{time.monotonic() - start:.0f} s"
            sys.stderr.write(f"{_CLEAR_LINE}{what} ... {state}")
            sys.stderr.flush()
            shown = True
        if shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield on_progress
    finally:
        ended.set()
        thread.join()
