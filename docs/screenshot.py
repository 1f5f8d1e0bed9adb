"""
Take the pictures in ``docs/images/`` anew: ``.venv/airflow-3.3-python-3.11/bin/python -m docs.screenshot``.

Starts a local Toloka, a real Airflow and a headless Chromium (installed by apt-get if it is missing and we are root),
runs ``label_digits``, stops the time of the local Toloka while ``wait_for_people`` is deferred, and photographs what a
person would see; then it lets the run end, and photographs the report that it has written.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

from PIL import Image

from demo.__main__ import DAG_ID, ROOT, TOKEN, set_truth
from demo.airflow_api import wait_until
from demo.browser import Browser, ensure_chromium
from demo.local_airflow import LocalAirflow
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

IMAGES = ROOT / "docs" / "images"
WAITING = "wait_for_people"

# What a person would choose with the mouse: the graph, drawn downwards, beside a wide panel for the task.
PANELS = json.dumps({"details-panel,main-panel": {"expandToSizes": {}, "layout": [45, 55]}})
SETTINGS = {
    "default_dag_view": '"graph"',
    f"direction-{DAG_ID}": '"DOWN"',
    "react-resizable-panels:graph-ltr": PANELS,
    "react-resizable-panels:graph-rtl": PANELS,
}


def photograph(browser: Browser, url: str, *texts: str, path: Path, width: int, height: int) -> None:
    """Open a page, wait until it shows some texts and has settled, and write it as a PNG of few colours."""
    browser.resize(width, height)
    browser.call("Page.navigate", url=url)
    wait_until(lambda: all(text in browser.text() for text in texts), f"{url} shows {texts}", timeout=60)
    time.sleep(4)
    write_png(browser.screenshot(), path)


def write_png(png: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB", flush=True)


def main() -> None:
    """Run the DAG as far as the wait and take the pictures."""
    env = {"PYTHONPATH": str(ROOT)}
    home = ROOT / ".demo" / "screenshot"
    ensure_chromium("A picture")
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
        with Browser(airflow.processes, airflow.home / "chromium") as browser:
            browser.store(SETTINGS)
            texts = (WAITING, "Deferred", "Toloka")
            photograph(browser, task_page, *texts, path=IMAGES / "airflow.png", width=1400, height=800)
            photograph(browser, pool_page, "done", path=IMAGES / "pool.png", width=820, height=420)
            toloka.clock.unfreeze()
            airflow.api.wait_for_run(DAG_ID, run_id)
            report = airflow.api.xcom(DAG_ID, run_id, "report")["path"]
            photograph(browser, report, "Agreement", path=IMAGES / "report.png", width=1100, height=1480)


if __name__ == "__main__":
    main()
