"""The page "Toloka" in a frame, as a person at a screen and a keyboard has it."""

from __future__ import annotations

import json
import re
from typing import Any

from demo.airflow_api import wait_until
from demo.browser import Browser

FRAME = "document.querySelector('iframe')?.contentDocument"
MUST_NOT = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}
TIMEOUT = 60.0


class FramedPage:
    """What is in the first frame of the page that a browser shows."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def show(self, url: str) -> None:
        """Open the page around it, and wait until its script runs."""
        self.browser.call("Page.navigate", url=url)
        self.browser.wait_for("Page.loadEventFired")
        self.until("$?.querySelector('header')", f"{url} frames the page")

    def js(self, expression: str) -> Any:
        """Evaluate an expression in which ``$`` is the document of the frame."""
        return self.browser.evaluate(re.sub(r"\$(?=[.?])", FRAME, expression))

    def until(self, expression: str, what: str) -> None:
        wait_until(lambda: bool(self.js(f"Boolean({expression})")), what, timeout=TIMEOUT, interval=0.05)

    def text(self) -> str:
        return str(self.js("$.body.innerText"))

    def shows(self, *texts: str) -> None:
        """Wait until it shows all of some texts."""
        try:
            wait_until(lambda: all(text in self.text() for text in texts), f"{texts} are shown", TIMEOUT, 0.05)
        except TimeoutError as exc:
            raise TimeoutError(f"{exc} instead of {self.text()!r}") from exc

    def click(self, selector: str) -> None:
        self.until(f"$.querySelector({selector!r})", f"there is {selector}")
        self.js(f"$.querySelector({selector!r}).click()")

    def type(self, selector: str, text: str) -> None:
        self.until(f"$.querySelector({selector!r})", f"there is {selector}")
        self.js(f"$.querySelector({selector!r}).focus()")
        self.browser.call("Input.insertText", text=text)

    def press(self, key: str, times: int = 1) -> None:
        name, code, text = KEYS[key]
        params = {"key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        for _ in range(times):
            self.browser.call("Input.dispatchKeyEvent", type="keyDown", **params)
            self.browser.call("Input.dispatchKeyEvent", type="keyUp", **params)

    def focused(self) -> str:
        """Return the id of what has the focus, or else its text."""
        return str(self.js("$.activeElement.id || $.activeElement.textContent"))

    def rows(self) -> list[str]:
        """Return the names of the pools in the table."""
        names: list[str] = self.js("[...$.querySelectorAll('a.name')].map(name => name.textContent)")
        return names

    def has_only_requested(self, own: str, reporter: str = "") -> None:
        """
        Check that nothing was reported since it was last done, and that all requests were below an address.

        :param reporter: Part of the addresses whose reports count; those of Airflow's own scripts are none of ours.
        """
        events = self.browser.take_events()
        counted = [event for event in events if reporter in json.dumps(event["params"])]
        assert [event for event in counted if event["method"] in MUST_NOT] == []
        reported = [event["params"]["entry"] for event in counted if event["method"] == "Log.entryAdded"]
        # The one warning is of the frame, which is Airflow's.
        assert [entry for entry in reported if "allow-same-origin" not in entry["text"]] == []
        requested = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        allowed = own, "data:", f"blob:{own[: own.index('/', 8)]}/"
        others = [url for url in requested if not url.startswith(allowed)]
        assert others == [], others
