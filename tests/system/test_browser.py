"""The headless Chromium of pictures and tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.browser import Browser, ensure_chromium
from demo.debian import MissingError, may_install
from demo.processes import Processes


def test_the_port_of_a_browser_that_was_killed_is_not_used(tmp_path: Path) -> None:
    try:
        ensure_chromium("A test of a page")
    except MissingError as exc:
        if may_install():
            raise
        pytest.skip(str(exc))
    profile = tmp_path / "profile"
    profile.mkdir()
    # Nobody listens there; a browser writes its file when it does.
    (profile / "DevToolsActivePort").write_text("1\n/devtools/browser/of-the-one-before")
    with Processes(tmp_path / "logs") as processes, Browser(processes, profile) as browser:
        assert browser.evaluate("location.href") == "about:blank"
