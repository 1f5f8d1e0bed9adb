"""
Take the pictures in ``docs/images/`` anew: ``.venv/airflow-3.3-python-3.11/bin/python -m docs.screenshot``.

Starts a local Toloka, a real Airflow and a headless Chromium (``chromium`` must be installed), runs ``label_digits``,
stops the time of the local Toloka while ``wait_for_people`` is deferred, and photographs what a person would see.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
from itertools import count
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from websockets.sync.client import connect

from demo.__main__ import DAG_ID, ROOT, TOKEN, set_truth
from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

IMAGES = ROOT / "docs" / "images"
WAITING = "wait_for_people"

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
# What a person would choose with the mouse: the graph, drawn downwards, beside a wide panel for the task.
PANELS = json.dumps({"details-panel,main-panel": {"expandToSizes": {}, "layout": [45, 55]}})
SETTINGS = {
    "default_dag_view": '"graph"',
    f"direction-{DAG_ID}": '"DOWN"',
    "react-resizable-panels:graph-ltr": PANELS,
    "react-resizable-panels:graph-rtl": PANELS,
}


class Browser:
    """A page of a headless Chromium, driven by its DevTools protocol; ends with the Airflow it is started beside."""

    def __init__(self, airflow: LocalAirflow) -> None:
        profile = airflow.home / "chromium"
        command = ["chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        airflow.processes.start("chromium", command, os.environ)
        port = profile / "DevToolsActivePort"
        wait_until(lambda: port.exists() and "\n" in port.read_text(), "Chromium is ready", timeout=30)
        pages = requests.get(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list", timeout=10).json()
        self._address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._numbers = count(1)

    def __enter__(self) -> Browser:
        self._connection = connect(self._address, max_size=None, proxy=None)
        self._socket = self._connection.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._connection.__exit__(*exc_info)

    def call(self, method: str, **params: Any) -> Any:
        """Send a command and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                return answer["result"]

    def store(self, items: dict[str, str]) -> None:
        """Put settings into the browser's storage before any page is shown."""
        lines = [f"localStorage.setItem({json.dumps(key)}, {json.dumps(item)});" for key, item in items.items()]
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source="\n".join(lines))

    def photograph(self, url: str, *texts: str, path: Path, width: int, height: int) -> None:
        """Open a page, wait until it shows some texts and has settled, and write it as a PNG of few colours."""
        size = {"width": width, "height": height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)
        wait_until(lambda: all(text in self._text() for text in texts), f"{url} shows {texts}", timeout=60)
        time.sleep(4)
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        image = Image.open(io.BytesIO(png)).convert("RGB")
        image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB", flush=True)

    def _text(self) -> str:
        found = self.call("Runtime.evaluate", expression="document.body ? document.body.innerText : ''")
        return str(found["result"].get("value", ""))


def main() -> None:
    """Run the DAG as far as the wait and take the pictures."""
    env = {"PYTHONPATH": str(ROOT)}
    home = ROOT / ".demo" / "screenshot"
    with EmulatorServer(seed=1, speed=20) as toloka, LocalAirflow(home, ROOT / "dags_examples", env=env) as airflow:
        connection = {"conn_type": "toloka", "host": toloka.url, "password": TOKEN}
        airflow.env["AIRFLOW_CONN_TOLOKA_DEFAULT"] = json.dumps(connection)
        set_truth(toloka.url)
        airflow.start()
        airflow.api.wait_for_dag(DAG_ID)
        run_id = airflow.api.trigger(DAG_ID, {"output": f"file://{airflow.home}/answers"})
        airflow.api.wait_for_task(DAG_ID, run_id, WAITING, "deferred")
        pool_id = airflow.api.xcom(DAG_ID, run_id, "create_pool")
        wait_until(lambda: toloka.pool(pool_id)["completion"] > 0.6, "most is answered", timeout=60)
        toloka.clock.freeze()

        task_page = f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}/tasks/{WAITING}/details"
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        pool_page = client.web_url(client.get_pool(pool_id))
        IMAGES.mkdir(parents=True, exist_ok=True)
        with Browser(airflow) as browser:
            browser.store(SETTINGS)
            texts = (WAITING, "Deferred", "Toloka")
            browser.photograph(task_page, *texts, path=IMAGES / "airflow.png", width=1400, height=800)
            browser.photograph(pool_page, "done", path=IMAGES / "pool.png", width=820, height=420)


if __name__ == "__main__":
    main()
