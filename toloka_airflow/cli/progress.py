"""That a command which takes long still runs, for a person who waits at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

_CLEAR_LINE = "\r\x1b[K"


@contextmanager
def shown_progress(what: str) -> Iterator[None]:
    """Say on standard error what is done and for how long, if that is a terminal and it takes longer than a second."""
    if not sys.stderr.isatty():
        yield
        return
    ended = Event()

    def show() -> None:
        start, shown = time.monotonic(), False
        while not ended.wait(1):
            sys.stderr.write(f"{_CLEAR_LINE}{what} ... {time.monotonic() - start:.0f} s")
            sys.stderr.flush()
            shown = True
        if shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
