"""Pools as assets, and what tasks tell through them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.support import ScriptedServer, pool, run_task
from toloka_airflow.assets import check_outlets, pool_asset, report
from toloka_airflow.sensors import PoolSensor

URI = "toloka://toloka_default/pools/21"


@pytest.mark.parametrize("spelling", [URI, f"{URI}/", f"{URI}//", f"{URI}#part", URI.replace("toloka:", "TOLOKA:")])
def test_an_asset_has_one_spelling(spelling: str) -> None:
    assert Asset(spelling).uri == URI == pool_asset("21").uri


def test_connections_tell_equal_ids_apart() -> None:
    assert pool_asset("21", toloka_conn_id="sandbox-2.b").uri == "toloka://sandbox-2.b/pools/21"
    assert pool_asset("21", name="digits", extra={"team": "a"}).name == "digits"


@pytest.mark.parametrize(
    "uri",
    [
        "toloka://",
        "toloka:///pools/21",
        "toloka://toloka_default",
        "toloka://toloka_default/pools",
        "toloka://toloka_default/pools/",
        "toloka://toloka_default/pools/2 1",
        "toloka://toloka_default/pools/21/tasks",
        "toloka://toloka_default/projects/21",
        "toloka://toloka_default/pools/{{ pool_id }}",
        "toloka://toloka_default:80/pools/21",
        "toloka://user@toloka_default/pools/21",
        f"{URI}?status=OPEN",
    ],
)
def test_what_is_no_pool_is_refused_when_the_dag_is_read(uri: str) -> None:
    with pytest.raises(ValueError, match=r"toloka://<connection id>/pools/<pool id>"):
        Asset(uri)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"pool_id": ""}, "pool_id"), ({"pool_id": None}, "pool_id"), ({"toloka_conn_id": "a/b"}, "toloka_conn_id")],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} is "):
        pool_asset(**{"pool_id": "21", **arguments})


def test_facts_become_the_extra_of_every_event() -> None:
    outlets = [pool_asset("21"), Asset("labels"), AssetAlias("any pool")]
    events = OutletEventAccessors()
    report({"outlet_events": events}, outlets, pool_id="21", toloka_conn_id="toloka_default", facts={"rows": 5})  # type: ignore[typeddict-item]
    told = {"pool_id": "21", "rows": 5}
    assert [events[asset].extra for asset in outlets[:2]] == [told, told]
    [event] = events[outlets[2]].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra) == (URI, told)


@pytest.mark.parametrize("asset", [pool_asset("22"), pool_asset("21", toloka_conn_id="sandbox")])
def test_no_pool_is_reported_in_the_name_of_another(asset: Asset) -> None:
    with pytest.raises(ValueError, match=rf"outlets has {asset.uri}, .*pool 21 of toloka_default; .*AssetAlias"):
        check_outlets([asset], pool_id="21", toloka_conn_id="toloka_default")


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("connection")
def test_a_sensor_tells_why_the_pool_closed(server: ScriptedServer, deferrable: bool) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN"))
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    server.default("GET", "/operations", {"items": [], "has_more": False})
    outlets = [pool_asset("21"), AssetAlias("any pool")]
    sensor = PoolSensor(task_id="wait", pool_id="21", poke_interval=0.01, deferrable=deferrable, outlets=outlets)
    outcome = run_task(sensor)
    assert outcome.result["close_reason"] == "COMPLETED"
    assert outcome.outlet_events[outlets[0]].extra == outcome.result
    assert outcome.outlet_events[outlets[1]].asset_alias_events[0].extra == outcome.result


@pytest.mark.usefixtures("connection")
def test_a_sensor_with_the_asset_of_another_pool_does_not_even_look(server: ScriptedServer) -> None:
    with pytest.raises(ValueError, match="outlets has"):
        run_task(PoolSensor(task_id="wait", pool_id="21", outlets=[pool_asset("22")]))
    assert server.seen == []


def test_importing_assets_imports_next_to_nothing() -> None:
    code = "import sys, toloka_airflow.assets; print(sorted({'airflow', 'requests', 'pendulum'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
