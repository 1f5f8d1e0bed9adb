"""
The page "Toloka" in a live Airflow and a headless Chromium: in the navigation and in tabs, by people with and without
rights, also where Airflow is served below a path. `test_page_states.py` has all that needs no Airflow.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import requests

from demo.airflow_api import AirflowApi, wait_until
from demo.browser import Browser
from demo.local_airflow import LocalAirflow
from tests.framed_page import FramedPage
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live

DAG_ID, OTHER_DAG_ID = "page_pool", "page_windows"
ADMIN, VIEWER = ("admin", "the password of admin"), ("viewer", "the password of viewer")
PATH = "/airflow"


class Opened(NamedTuple):
    """A pool that a run has opened and waits for."""

    toloka: EmulatorServer
    pool_id: str
    run_id: str

    @property
    def status(self) -> str:
        return str(self.toloka.pool(self.pool_id)["status"])


def open_pool(airflow: LocalAirflow, toloka: EmulatorServer) -> Opened:
    for dag_id in (DAG_ID, OTHER_DAG_ID):
        airflow.api.wait_for_dag(dag_id)
    pool_id = toloka.add_pool()
    run_id = airflow.api.trigger(DAG_ID, {"pool_id": pool_id})
    airflow.api.wait_for_task(DAG_ID, run_id, "wait", "deferred", timeout=PATIENCE)
    return Opened(toloka, pool_id, run_id)


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        yield server


@pytest.fixture(scope="module")
def opened(airflow: LocalAirflow, toloka: EmulatorServer, connect_to: Connect) -> Opened:
    connect_to("toloka_page", toloka)
    return open_pool(airflow, toloka)


@pytest.fixture(scope="module")
def below_path(tmp_path_factory: pytest.TempPathFactory, toloka: EmulatorServer) -> Iterator[LocalAirflow]:
    """An Airflow with an admin and a viewer, below a path."""
    folder = tmp_path_factory.mktemp("below")
    (folder / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "page.py", folder / "dags")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(dict([ADMIN, VIEWER])))
    connection = {"conn_type": "toloka", "host": toloka.url, "password": TOKEN}
    env = {
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW_CONN_TOLOKA_PAGE": json.dumps(connection),
    }
    with LocalAirflow(folder / "home", folder / "dags", env=env, path=PATH) as local:
        local.api = AirflowApi(local.url, user=ADMIN)
        local.start()
        yield local


def sign_in(browser: Browser, api: AirflowApi) -> FramedPage:
    browser.call("Page.navigate", url="about:blank")
    browser.take_events()
    browser.resize(1280, 800)
    browser.call("Network.clearBrowserCookies")
    browser.call("Network.setCookie", name="_token", value=api.token, url=f"{api.url}/")
    return FramedPage(browser)


def close_in_two_steps(page: FramedPage, opened: Opened) -> None:
    page.click("#close-now")
    page.type("#closing-reason", "The guideline is wrong")
    assert opened.status == "OPEN"
    page.click("[data-action=close]")
    page.shows(f"Pool {opened.pool_id} is closed", "Closed\nmanual")
    assert opened.status == "CLOSED"


def audited(api: AirflowApi) -> list[tuple[str, str, dict[str, Any]]]:
    """Return who closed what, as Airflow's audit log has it."""
    entries = api.call("GET", "/eventLogs?event=toloka_close_pool")["event_logs"]
    return [(entry["owner"], entry["dag_id"], json.loads(entry["extra"])) for entry in entries]


def test_each_tab_shows_its_pools(airflow: LocalAirflow, opened: Opened, browser: Browser) -> None:
    page = sign_in(browser, airflow.api)
    run = f"/dags/{DAG_ID}/runs/{quote(opened.run_id, safe='')}"
    for tab in (
        f"/dags/{DAG_ID}/plugin/toloka-dag",
        f"{run}/plugin/toloka-dag_run",
        f"{run}/tasks/wait/plugin/toloka-task_instance",
    ):
        page.show(f"{airflow.url}{tab}")
        page.shows(f"{opened.pool_id} · toloka_page")
        assert page.js("$.documentElement.scrollWidth - $.documentElement.clientWidth") == 0
    page.show(f"{airflow.url}/dags/{OTHER_DAG_ID}/plugin/toloka-dag")
    page.shows("No pool or training of this DAG is known.")
    page.click("a[href='#windows']")
    # Those of before Airflow knew the DAG are not counted; the others of this week and the next are paused.
    page.click("[data-value='1']")
    page.shows("7 windows")
    assert page.js("$.querySelectorAll('.lanes .window.paused').length") == 7


def test_links_lead_to_airflows_pages(airflow: LocalAirflow, opened: Opened, browser: Browser) -> None:
    page = sign_in(browser, airflow.api)
    page.show(f"{airflow.url}/plugin/toloka-nav")
    page.type("#filter-text", opened.pool_id)
    page.click("a[href*='/tasks/open']")
    path = f"/dags/{DAG_ID}/runs/{opened.run_id}/tasks/open"
    wait_until(lambda: path in browser.evaluate("decodeURIComponent(location.pathname)"), path, timeout=60)
    wait_until(lambda: "OpenPoolOperator" in browser.text(), "Airflow shows the task", timeout=PATIENCE)


def test_a_pool_is_found_and_closed(airflow: LocalAirflow, opened: Opened, browser: Browser) -> None:
    page = sign_in(browser, airflow.api)
    page.show(f"{airflow.url}/plugin/toloka-nav")
    page.shows("pool")
    page.type("#filter-text", "no such pool")
    page.shows("No pool matches the filter.")
    page.click("[data-action=clear-filter]")
    page.type("#filter-text", f"{opened.pool_id} toloka_page")
    page.shows("1 of ")
    page.click("a.name")
    page.shows("OpenPoolOperator", "PoolSensor", "POOL.OPEN")
    page.until("$.querySelector('.chart')", "something was measured")
    close_in_two_steps(page, opened)
    assert airflow.api.wait_for_run(DAG_ID, opened.run_id, timeout=PATIENCE) == "success"
    [(_, dag_id, extra)] = audited(airflow.api)
    assert dag_id == DAG_ID
    assert (extra["pool_id"], extra["reason"], extra["result"]) == (opened.pool_id, "The guideline is wrong", "closed")
    page.has_only_requested(f"{airflow.url}/", "/toloka/")


@pytest.fixture(scope="module")
def opened_below(below_path: LocalAirflow, toloka: EmulatorServer) -> Opened:
    return open_pool(below_path, toloka)


def test_nothing_is_answered_without_a_session(below_path: LocalAirflow, opened_below: Opened) -> None:
    pool = f"/toloka/api/pools/{DAG_ID}/toloka_page/{opened_below.pool_id}"
    for path in ("/toloka/view", "/toloka/static/page.js", "/toloka/api/overview", "/toloka/api/calendar", pool):
        answer = requests.get(f"{below_path.url}{path}", timeout=PATIENCE)
        assert answer.status_code == 401, path
        assert opened_below.pool_id not in answer.text
    own = {"X-Toloka-Airflow": "1"}
    assert requests.post(f"{below_path.url}{pool}/close", json={}, headers=own, timeout=PATIENCE).status_code == 401
    assert opened_below.status == "OPEN"


def test_below_a_path_a_viewer_sees_and_an_admin_closes(
    below_path: LocalAirflow, opened_below: Opened, browser: Browser
) -> None:
    opened = opened_below
    viewer = AirflowApi(below_path.url, user=VIEWER)
    page = sign_in(browser, viewer)
    page.show(f"{below_path.url}/plugin/toloka-nav")
    page.click("a.name")
    page.shows(f"Closing it takes the right to change the task instances of {DAG_ID}", "POOL.OPEN")
    assert page.js("$.querySelector('#close-now')") is None
    refused = requests.post(
        f"{below_path.url}/toloka/api/pools/{DAG_ID}/toloka_page/{opened.pool_id}/close",
        json={"reason": ""},
        headers={"X-Toloka-Airflow": "1", "Authorization": f"Bearer {viewer.token}"},
        timeout=PATIENCE,
    )
    assert refused.status_code == 403
    assert opened.status == "OPEN"
    assert audited(below_path.api) == []
    page.has_only_requested(f"{below_path.url}/", "/toloka/")

    page = sign_in(browser, below_path.api)
    page.show(f"{below_path.url}/dags/{DAG_ID}/plugin/toloka-dag")
    page.click("a.name")
    close_in_two_steps(page, opened)
    [(owner, dag_id, extra)] = audited(below_path.api)
    assert (owner, dag_id, extra["pool_id"], extra["result"]) == ("admin", DAG_ID, opened.pool_id, "closed")
    page.click("a[href*='/runs/']")
    wait_until(lambda: "/runs/" in browser.evaluate("location.pathname"), "Airflow shows the run", timeout=60)
    assert browser.evaluate("location.pathname").startswith(f"{PATH}/dags/{DAG_ID}/runs/")
    page.has_only_requested(f"{below_path.url}/", "/toloka/")


def test_a_broken_app_leaves_the_api_server_up(tmp_path: Path) -> None:
    """Where the module of the app cannot be imported, Airflow serves all but the page."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['toloka_airflow.web.app'] = None\n")
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).resolve().parents[2]}"}
    with LocalAirflow(tmp_path / "home", tmp_path / "dags", env=env) as local:
        local.start("api-server")
        plugins = local.api.call("GET", "/plugins")["plugins"]
        [own] = [plugin for plugin in plugins if plugin["name"] == "toloka"]
        assert (own["external_views"], own["fastapi_apps"]) == ([], [])
        assert local.api.call("GET", "/dags")["dags"] == []
        answer = requests.get(f"{local.url}/toloka/view", timeout=PATIENCE)
        assert "Content-Security-Policy" not in answer.headers
        assert "The page of Toloka is not there" in local.processes.tail("api-server")
