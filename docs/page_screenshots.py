"""
Take the pictures of the page *Toloka* in ``docs/images/`` anew: ``.venv/airflow-3.3-python-3.11/bin/python -m
docs.page_screenshots``.

Starts a local Toloka, a real Airflow and a headless Chromium (installed by apt-get if it is missing and we are root),
runs the DAGs of `docs.page_dags`, and photographs the page when people have worked for some minutes: most of the time
it waits for them, as waits keep a measurement every 30 seconds.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import Any

from demo.__main__ import PAGE, ROOT, TOKEN
from demo.airflow_api import wait_until
from demo.browser import Browser, ensure_chromium
from demo.local_airflow import LocalAirflow
from docs.screenshot import IMAGES, write_png
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

NAMES = {
    "label_signs": "Traffic signs at night",
    "label_receipts": "What was bought, by the receipt",
    "label_relevance": "Search results: does it answer the question?",
    "label_helmets": "Does the person wear a helmet?",
}
BY_HAND = "label_helmets"
MEASUREMENTS = 5
FRAME = "document.querySelector('iframe')"


def shown(browser: Browser, *texts: str) -> None:
    """Wait until the page in Airflow's frame shows some texts."""
    text = f"{FRAME}?.contentDocument?.body?.innerText ?? ''"
    wait_until(lambda: all(each in browser.evaluate(text) for each in texts), f"{texts} are shown", timeout=120)


def photograph(
    browser: Browser, airflow: LocalAirflow, fragment: str, *texts: str, name: str, theme: str, week: int = 0
) -> None:
    """Open the page in Airflow's navigation, light or dark, and write what is shown when it has some texts."""
    browser.call("Page.navigate", url=airflow.url)
    browser.wait_for("Page.loadEventFired")
    browser.evaluate(f"localStorage.setItem('theme', {theme!r})")
    browser.call("Page.navigate", url=f"{airflow.url}{PAGE}")
    browser.wait_for("Page.loadEventFired")
    shown(browser, "Pools")
    browser.evaluate(f"{FRAME}.contentWindow.location.hash = {fragment!r}")
    shown(browser, *texts)
    if week:
        browser.evaluate(f"{FRAME}.contentDocument.querySelector('[data-value=\"{week}\"]').click()")
        wait_until(
            lambda: bool(browser.evaluate(f"{FRAME}.contentDocument.querySelector('.lanes .planned') !== null")),
            "it is fetched",
            60,
        )
    is_dark = f"document.documentElement.classList.contains('dark') === {json.dumps(theme == 'dark')}"
    wait_until(lambda: bool(browser.evaluate(is_dark)), f"Airflow is {theme}", timeout=60)
    write_png(browser.screenshot(), IMAGES / name)


def measurements(airflow: LocalAirflow, dag_id: str) -> list[Any]:
    """Return what the wait of a DAG's only run has measured."""
    [run] = airflow.api.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"] or [None]
    return (run and airflow.api.xcom(dag_id, run["dag_run_id"], "window.wait", "toloka_progress")) or []


def main() -> None:
    """Run the DAGs until there is something to be shown, and take the pictures."""
    home = ROOT / ".demo" / "page"
    dags = ROOT / ".demo" / "page-dags"
    dags.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "docs" / "page_dags.py", dags)
    ensure_chromium("A picture")
    env = {"PYTHONPATH": str(ROOT), "PICTURES_STARTED": datetime.now(UTC).isoformat()}
    with EmulatorServer(seed=1, speed=1) as toloka, LocalAirflow(home, dags, env=env) as airflow:
        connection = {"conn_type": "toloka", "host": toloka.url, "password": TOKEN}
        airflow.env["AIRFLOW_CONN_TOLOKA_DEFAULT"] = json.dumps(connection)
        pools = {
            dag_id: toloka.add_pool(250 + 50 * number, overlap=3, private_name=name)
            for number, (dag_id, name) in enumerate(NAMES.items())
        }
        for dag_id, pool_id in pools.items():
            airflow.env[f"AIRFLOW_VAR_{dag_id.upper()}"] = pool_id
        airflow.start()
        airflow.api.wait_for_dag(BY_HAND)
        run_id = airflow.api.trigger(BY_HAND)
        airflow.api.wait_for_run(BY_HAND, run_id)
        # A person opens it again, and nobody waits for it: it gets a red mark.
        TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).open_pool(pools[BY_HAND])
        wait_until(
            lambda: len(measurements(airflow, "label_signs")) >= MEASUREMENTS,
            "it was measured",
            timeout=1200,
            interval=5,
        )
        with Browser(airflow.processes, airflow.home / "chromium") as browser:
            browser.call("Page.enable")
            browser.resize(1280, 800)
            photograph(browser, airflow, "#pools", *NAMES.values(), name="page.png", theme="light")
            # At the end of a week, most of the next is still to come.
            week = 1 if datetime.now(UTC).weekday() >= 4 else 0
            own = f"#pool/label_signs/toloka_default/{pools['label_signs']}"
            photograph(browser, airflow, own, "POOL.OPEN", name="page-pool.png", theme="dark")
            photograph(
                browser, airflow, "#windows", "label_receipts", name="page-windows.png", theme="light", week=week
            )


if __name__ == "__main__":
    main()
