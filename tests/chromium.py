"""The Chromium of the tests that open a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.browser import Browser, ensure_chromium
from demo.debian import MissingError, may_install
from demo.processes import Processes


@contextmanager
def chromium(purpose: str, folder: Path) -> Iterator[Browser]:
    """
    Open a page of a headless Chromium, which reports what it requests and what goes wrong.

    The test is skipped if there is none and we may not install it.

    :param purpose: What needs it, for the reason.
    :param folder: For its logs and profile.
    """
    try:
        ensure_chromium(purpose)
    except MissingError as exc:
        if may_install():
            raise
        pytest.skip(str(exc))
    with Processes(folder / "logs") as processes, Browser(processes, folder / "profile") as browser:
        for domain in ("Page", "Log", "Runtime", "Network"):
            browser.call(f"{domain}.enable")
        yield browser
