"""A headless Chromium, driven by its DevTools protocol: for pictures, and for tests that open a page."""

from __future__ import annotations

import base64
import json
import os
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from websockets.sync.client import connect

from demo.airflow_api import wait_until
from demo.debian import ensure_installed

if TYPE_CHECKING:
    from demo.processes import Processes

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
ANSWER_TIMEOUT = 60.0


def ensure_chromium(purpose: str) -> None:
    """
    Install Debian's package ``chromium`` if it is missing.

    :param purpose: What needs it, to begin the error with.
    :raises MissingError: With the command that does it, if we are not root or it does not work.
    """
    ensure_installed(lambda: [] if shutil.which("chromium") else ["chromium"], purpose)


class Browser:
    """
    One page of a Chromium of its own. Use it as a context manager, within that of the processes.

    :param processes: What ends the browser, whatever happens to us.
    :param profile: A folder for it alone, which need not be there, or is that of a browser that has ended.
    """

    def __init__(self, processes: Processes, profile: Path) -> None:
        command = ["chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        port = profile / "DevToolsActivePort"
        # One that was killed has left its own.
        port.unlink(missing_ok=True)
        processes.start("chromium", command, os.environ)

        def is_ready() -> bool:
            processes.check()
            return port.exists() and "\n" in port.read_text()

        wait_until(is_ready, "Chromium is ready", timeout=60)
        with requests.Session() as session:
            session.trust_env = False
            pages = session.get(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list", timeout=10).json()
        self._address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        # Without pings: a Chromium that gets no processor for 20 s would be taken for one that is gone.
        self._connection = connect(self._address, max_size=None, proxy=None, ping_interval=None)
        self._socket = self._connection.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._connection.__exit__(*exc_info)

    def call(self, method: str, **params: Any) -> Any:
        """Send a command and return its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := self._receive()).get("id") != number:
            self._events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, method: str) -> dict[str, Any]:
        """Return the next event of a name, which may have come already; those before it are kept."""
        for event in self._events:
            if event["method"] == method:
                self._events.remove(event)
                return event
        while (event := self._receive()).get("method") != method:
            self._events.append(event)
        return event

    def take_events(self) -> list[dict[str, Any]]:
        """Return what was reported until now, each once; only domains that were enabled report anything."""
        self.evaluate("1")
        events, self._events = self._events, []
        return events

    def evaluate(self, expression: str) -> Any:
        """Return the value of some JavaScript; it runs also where the page itself may run none."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self) -> str:
        """Return the text that the page shows."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def store(self, items: dict[str, str]) -> None:
        """Put settings into the browser's storage before any page is shown."""
        lines = [f"localStorage.setItem({json.dumps(key)}, {json.dumps(item)});" for key, item in items.items()]
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source="\n".join(lines))

    def resize(self, width: int, height: int, *, scheme: str = "light") -> None:
        """Choose the size of the page, and whether it is light or dark."""
        size = {"width": width, "height": height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, *, full: bool = False) -> bytes:
        """
        Return a PNG of what is shown.

        :param full: Of all of the page, however high it is.
        """
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full, **self._clip(full))
        return base64.b64decode(shot["data"])

    def _clip(self, full: bool) -> dict[str, Any]:
        if not full:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._socket.recv(timeout=ANSWER_TIMEOUT))
        return answer
