"""The page by HTTP, in an Airflow whose database has two DAGs, with the emulator as Toloka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import requests

from tests.airflow_home import airflow_home
from tests.support import TOKEN
from tests.unit.doctor.records import NOW, insert
from tests.unit.web.served import served
from tests.unit.web.world import BOTH, add_pools, rows_of
from toloka_airflow.emulator.server import EmulatorServer

OWN = {"X-Toloka-Airflow": "1", "Sec-Fetch-Site": "same-origin"}
SECRETS = TOKEN, "any-token"


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        yield server


@pytest.fixture(scope="module")
def pools(toloka: EmulatorServer) -> dict[str, str]:
    return add_pools(toloka)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, pools: dict[str, str]) -> Path:
    home = airflow_home(tmp_path_factory)
    insert(home, rows_of(pools).tables)
    return home


class Page:
    """The page as one user has it."""

    def __init__(self, served: dict[str, Any], user: str | None) -> None:
        self.served = served
        self.session = requests.Session()
        self.session.trust_env = False
        if user is not None:
            self.session.headers["Authorization"] = f"Bearer {served['tokens'][user]}"

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.served['url']}/toloka/{path}", params=params, timeout=60)

    def json(self, path: str, **params: Any) -> Any:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def overview(self, **params: Any) -> dict[str, dict[str, Any]]:
        """Return the pools of the overview by id."""
        return {pool["pool_id"]: pool for pool in self.json("api/overview", **params)["pools"]}

    def close(self, dag_id: str, pool_id: str, body: Any = None, *, conn_id: str = "toloka_default",
              headers: dict[str, str] = OWN) -> requests.Response:  # fmt: skip
        path = f"{self.served['url']}/toloka/api/pools/{dag_id}/{conn_id}/{pool_id}/close"
        return self.session.post(path, json={"reason": "a test"} if body is None else body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def airflow(home: Path, toloka: EmulatorServer) -> Iterator[dict[str, Any]]:
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    with served(home, AIRFLOW_CONN_TOLOKA_DEFAULT=connection, AIRFLOW_CONN_HIDDEN_CONN=connection) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def admin(airflow: dict[str, Any]) -> Page:
    return Page(airflow, "admin")


@pytest.fixture(scope="module")
def viewer(airflow: dict[str, Any]) -> Page:
    return Page(airflow, "viewer")


@pytest.fixture(scope="module")
def partial(airflow: dict[str, Any]) -> Page:
    return Page(airflow, "shown")


def test_nothing_without_a_session(airflow: dict[str, Any]) -> None:
    paths = airflow["openapi"]["paths"]
    assert len(paths) >= 6
    for path, methods in paths.items():
        for method in methods:
            for token, status in ((None, 401), ("nonsense", 403)):
                headers = {**OWN} | ({"Authorization": f"Bearer {token}"} if token else {})
                url = f"{airflow['url']}/toloka{path}"
                answer = requests.request(method, url, headers=headers, json={}, timeout=60)
                assert answer.status_code == status, (method, path, answer.text)
                assert answer.json().keys() == {"detail"}


def test_each_route_finds_out_who_the_user_is(airflow: dict[str, Any]) -> None:
    assert len(airflow["routes"]) == 6
    assert all(airflow["routes"].values()), airflow["routes"]


def test_no_documentation(admin: Page) -> None:
    for path in ("docs", "redoc", "openapi.json", "static/../app.py", "static/%2e%2e%2fapp.py", ""):
        assert admin.get(path).status_code in (200, 404)
        assert "create_app" not in admin.get(path).text
    assert admin.get("openapi.json").status_code == 404


def test_headers(admin: Page) -> None:
    for path in ("view", "api/overview", "no-such-path", "static/no-such-file", "api/calendar?days=0"):
        headers = admin.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_a_pool_that_a_run_waits_for(viewer: Page, pools: dict[str, str]) -> None:
    pool = viewer.overview()[pools["open"]]
    assert pool["status"] == "OPEN"
    assert pool["kind"] == "pool"
    assert pool["name"] == "Pool open"
    assert pool["is_waited_for"]
    assert pool["alerts"] == []
    assert pool["opened_by"] == {
        "dag_id": "shown", "run_id": "manual__2026-01-01T00:00:00+00:00", "task_id": "open", "map_index": -1,
        "by_hand": False,
    }  # fmt: skip
    assert pool["closes_at"] == (NOW + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (pool["percent"], pool["answers"], pool["spent"], pool["committed"]) == (40, 8, 0.2, 0.1)
    assert pool["currency"] is None
    assert pool["may_close"] is False


def test_pools_that_nobody_waits_for_and_that_are_closed(admin: Page, pools: dict[str, str]) -> None:
    found = admin.overview()
    assert [alert["kind"] for alert in found[pools["left"]]["alerts"]] == ["nobody_waits"]
    assert found[pools["left"]]["may_close"] is True
    assert found[pools["left"]]["toloka_url"].startswith("http")
    assert found[pools["closed"]]["status"] == "NOT_OPEN"
    assert found[pools["closed"]]["may_close"] is False
    first = admin.json("api/overview")["pools"][0]
    assert first["alerts"]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"dag_id": "hidden"}, {"hidden", *BOTH}),
        ({"dag_id": "shown", "run_id": "manual__2026-01-01T00:00:00+00:00"}, {"open"}),
        ({"dag_id": "shown", "run_id": "manual__2026-01-01T00:00:00 00:00"}, {"open"}),
        ({"dag_id": "shown", "run_id": "old", "task_id": "wait_left", "map_index": -1}, {"left"}),
        ({"dag_id": "shown", "run_id": "old", "task_id": "wait_left", "map_index": 3}, set()),
        ({"dag_id": "no such"}, set()),
    ],
)
def test_filters(admin: Page, pools: dict[str, str], params: dict[str, Any], names: set[str]) -> None:
    assert admin.overview(**params).keys() == {pools[name] for name in names}


def test_the_own_view_of_a_closed_pool_has_what_its_wait_measured_at_its_end(
    viewer: Page, pools: dict[str, str]
) -> None:
    found = viewer.json(f"api/pools/shown/toloka_default/{pools['closed']}")
    last = {"at": found["pool"]["measured_at"], "percent": 100, "answers": 18, "spent": 0.9, "committed": 0}
    assert found["history"] == [last]


def test_a_pools_own_view(viewer: Page, pools: dict[str, str]) -> None:
    found = viewer.json(f"api/pools/shown/toloka_default/{pools['open']}")
    assert found["pool"]["status"] == "OPEN"
    assert [point["answers"] for point in found["history"]] == [2, 8]
    assert {run["task_id"] for run in found["runs"]} == {"open", "wait"}
    assert found["operations"] == []
    closed = viewer.json(f"api/pools/shown/toloka_default/{pools['closed']}")
    assert closed["pool"]["status"] == "CLOSED"
    assert closed["pool"]["name"] == "Pool closed"


def test_only_what_the_records_of_the_dag_name(admin: Page, pools: dict[str, str]) -> None:
    for dag_id, conn_id, pool_id in (
        ("shown", "toloka_default", pools["hidden"]),
        ("shown", "hidden_conn", pools["open"]),
        ("hidden", "toloka_default", pools["hidden"]),
        ("~", "toloka_default", pools["open"]),
        ("shown", "toloka_default", "999999"),
    ):
        assert admin.get(f"api/pools/{dag_id}/{conn_id}/{pool_id}").status_code == 404
        assert admin.close(dag_id, pool_id, conn_id=conn_id).status_code == 404


def test_one_dag_of_two(partial: Page, pools: dict[str, str], toloka: EmulatorServer) -> None:
    answers = [
        partial.get("api/overview"),
        partial.get("api/overview", dag_id="hidden"),
        partial.get(f"api/pools/shown/toloka_default/{pools['reopened']}"),
        partial.get(f"api/pools/hidden/hidden_conn/{pools['hidden']}"),
        partial.get("api/calendar"),
        partial.close("hidden", pools["hidden"], conn_id="hidden_conn"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 403, 200, 403]
    assert pools["open"] in partial.overview()
    for answer in answers:
        for foreign in ("hidden", "secret", f'"{pools["hidden"]}"'):
            assert foreign not in answer.text, answer.text
    assert toloka.pool(pools["hidden"])["status"] == "OPEN"
    assert partial.overview()[pools["reopened"]]["is_waited_for"], "that of another DAG counts, without its name"


def test_the_time_that_another_dag_has_set_is_shown_to_who_may_read_that_dag(
    admin: Page, partial: Page, pools: dict[str, str]
) -> None:
    two, three = ((NOW + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ") for hours in (2, 3))

    def closes(page: Page, name: str) -> dict[str, Any]:
        rows = [row for row in page.json("api/overview")["pools"] if row["pool_id"] == pools[name]]
        views = [page.json(f"api/pools/{row['dag_id']}/toloka_default/{pools[name]}")["pool"] for row in rows]
        found = {row["dag_id"]: (row["closes_at"], row["closed_by_dag_id"]) for row in rows}
        assert {row["dag_id"]: (row["closes_at"], row["closed_by_dag_id"]) for row in views} == found
        return found

    assert closes(admin, "reopened") == {"hidden": (two, None), "shown": (two, "hidden")}
    assert closes(admin, "shared") == {"hidden": (three, "shown"), "shown": (three, None)}
    assert closes(partial, "reopened") == {"shown": (None, None)}
    assert closes(partial, "shared") == {"shown": (three, None)}


def test_sums_have_each_pool_once_as_it_was_measured_last(admin: Page, partial: Page) -> None:
    others = 0.2 + 0.9
    assert admin.json("api/overview")["totals"]["spent"] == pytest.approx(others + 0.5 + 0.7 + 1.1)
    # Of a DAG that they may not read, no figure is in the sum.
    assert partial.json("api/overview")["totals"]["spent"] == pytest.approx(others + 0.3 + 0.7 + 1.1)
    assert admin.json("api/overview", dag_id="hidden")["totals"]["spent"] == pytest.approx(0.5 + 0.4)


def test_no_rights_no_pools(airflow: dict[str, Any], pools: dict[str, str]) -> None:
    nobody = Page(airflow, "nobody")
    assert nobody.json("api/overview")["pools"] == []
    assert nobody.json("api/overview")["connections"] == []
    assert nobody.get(f"api/pools/shown/toloka_default/{pools['open']}").status_code == 403


def test_a_viewer_cannot_close(viewer: Page, pools: dict[str, str], toloka: EmulatorServer) -> None:
    assert viewer.close("shown", pools["left"]).status_code == 403
    assert toloka.pool(pools["left"])["status"] == "OPEN"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Toloka-Airflow": "0"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Content-Type": "text/plain"},
        {**OWN, "Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_others_cannot_close(
    admin: Page, pools: dict[str, str], toloka: EmulatorServer, headers: dict[str, str]
) -> None:
    assert admin.close("shown", pools["left"], headers=headers).status_code in (403, 415)
    assert toloka.pool(pools["left"])["status"] == "OPEN"


@pytest.mark.parametrize(
    "body", [[], "x", {"reason": 1}, {"reason": "x" * 201}, {"reason": "a\0b"}, {"opened_at": "x"}, {"x": "y" * 5000}]
)
def test_bodies_that_are_refused(admin: Page, pools: dict[str, str], toloka: EmulatorServer, body: Any) -> None:
    assert admin.close("shown", pools["left"], body).status_code in (413, 422)
    assert toloka.pool(pools["left"])["status"] == "OPEN"


def test_close_now(admin: Page, pools: dict[str, str], toloka: EmulatorServer) -> None:
    answer = admin.close("shown", pools["to_close"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] in ("closing", "closed")
    operation_id = answer.json()["operation_id"]
    again = admin.close("shown", pools["to_close"])
    assert (again.status_code, again.json()["result"]) in ((200, "already closed"), (409, None))
    assert toloka.pool(pools["to_close"])["status"] == "CLOSED"
    # Who opened it is still known: of a pool that is closed, nothing but its own view says when that was.
    view = admin.json(f"api/pools/shown/toloka_default/{pools['to_close']}")
    assert view["pool"]["opened_by"]["task_id"] == "open_to_close"
    url = f"{admin.served['url']}/api/v2/eventLogs"
    found = admin.session.get(url, params={"event": "toloka_close_pool", "order_by": "-id"}, timeout=60).json()
    entry = json.loads(found["event_logs"][-1]["extra"])
    assert entry["pool_id"] == pools["to_close"]
    assert entry["operation_id"] == operation_id
    assert entry["reason"] == "a test"
    assert found["event_logs"][-1]["owner"] == "admin"
    assert found["event_logs"][-1]["dag_id"] == "shown"


def test_not_what_was_opened_again_since(admin: Page, pools: dict[str, str], toloka: EmulatorServer) -> None:
    shown = (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = admin.close("shown", pools["reopened"], {"reason": "", "opened_at": shown})
    assert answer.status_code == 409
    assert "opened again" in answer.json()["detail"]
    assert toloka.pool(pools["reopened"])["status"] == "OPEN"


def test_no_secrets(admin: Page, pools: dict[str, str], toloka: EmulatorServer, home: Path) -> None:
    texts = [admin.get(path).text for path in ("api/overview", f"api/pools/shown/toloka_default/{pools['open']}")]
    texts += [(home / "served.log").read_text()]
    for text in texts:
        for secret in SECRETS:
            assert secret not in text


def test_what_is_known_is_left_out(airflow: dict[str, Any], viewer: Page, partial: Page) -> None:
    first = viewer.json("api/overview")
    again = viewer.json("api/overview", known=first["version"])
    assert again.keys() == {"now", "version", "connections"}
    assert again["version"] == first["version"]
    assert [each["conn_id"] for each in again["connections"]] == ["hidden_conn", "toloka_default"]
    for other in (
        viewer.json("api/overview", known="x"),
        viewer.json("api/overview", known=first["version"], dag_id="shown"),
        partial.json("api/overview", known=first["version"]),
        Page(airflow, "admin").json("api/overview", known=first["version"]),
    ):
        assert other["version"] != first["version"] or other == {**first, "now": other["now"]}
        assert other.keys() == first.keys()
    assert Page(airflow, "admin").json("api/overview")["version"] != first["version"], "they may close"


def test_compressed_once_for_those_who_can_read_it(viewer: Page) -> None:
    compressed = viewer.get("api/overview")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.headers["Vary"] == "Accept-Encoding"
    viewer.session.headers["Accept-Encoding"] = "identity"
    plain = viewer.get("api/overview")
    del viewer.session.headers["Accept-Encoding"]
    assert "Content-Encoding" not in plain.headers
    assert plain.json()["pools"] == compressed.json()["pools"]
    assert int(compressed.headers["Content-Length"]) < int(plain.headers["Content-Length"])


def test_twenty_people_at_once_cause_one_list_for_each_connection(home: Path, toloka: EmulatorServer) -> None:
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    before = lists_of(toloka)
    with served(
        home, "--one-list", AIRFLOW_CONN_TOLOKA_DEFAULT=connection, AIRFLOW_CONN_HIDDEN_CONN=connection
    ) as airflow:
        begin = Barrier(20)

        def look(user: str) -> list[int]:
            page = Page(airflow, user)
            begin.wait()
            return [page.get("api/overview").status_code for _ in range(3)]

        with ThreadPoolExecutor(20) as people:
            statuses = list(people.map(look, ["admin", "viewer", "user", "shown"] * 5))
    assert statuses == [[200] * 3] * 20
    after = lists_of(toloka)
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 2]


def lists_of(toloka: EmulatorServer) -> list[int]:
    """Return how many lists of pools and of trainings have been asked for; each fits into one answer."""
    return [len(toloka.journal.requests("GET", f"/api/v1/{kind}")) for kind in ("pools", "trainings")]


def test_a_broken_app_leaves_airflow_up(home: Path) -> None:
    with served(home, "--broken") as airflow:
        assert airflow["openapi"] is None
        page = Page(airflow, "admin")
        plugins = page.session.get(f"{airflow['url']}/api/v2/plugins", timeout=60).json()["plugins"]
        [own] = [plugin for plugin in plugins if plugin["name"] == "toloka"]
        assert own["external_views"] == []
        assert own["fastapi_apps"] == []
        assert page.session.get(f"{airflow['url']}/api/v2/dags", timeout=60).status_code == 200
        assert "Content-Security-Policy" not in page.get("view").headers
    assert "The page of Toloka is not there" in (home / "served.log").read_text()


def test_where_the_page_is_shown(admin: Page) -> None:
    plugins = admin.session.get(f"{admin.served['url']}/api/v2/plugins", timeout=60).json()["plugins"]
    [own] = [plugin for plugin in plugins if plugin["name"] == "toloka"]
    views = {view["destination"]: view["href"] for view in own["external_views"]}
    assert views.keys() == {"nav", "dag", "dag_run", "task_instance"}
    assert all(not href.startswith("/") for href in views.values())
