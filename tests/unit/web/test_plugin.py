"""What a scheduler, a worker or a task imports of the page: nothing."""

from __future__ import annotations

import pytest

from tests.forked_airflow import ForkedAirflow
from toloka_airflow import plugin

pytestmark = pytest.mark.filterwarnings(
    # Of the Starlette of Airflow 3.1, when its API server is imported.
    "ignore:The anyio.abc.BlockingPortal alias is deprecated:DeprecationWarning"
)
LOADED = """
import json, sys
from toloka_airflow._internal.airflow_internals import loaded_plugins
before = set(sys.modules)
from toloka_airflow.plugin import TolokaPlugin
TolokaPlugin().operator_extra_links, TolokaPlugin().timetables
TolokaPlugin.on_load()
print(json.dumps(sorted(name for name in set(sys.modules) - before if name.split(".")[0] in ("fastapi", "starlette")
    or name.startswith(("toloka_airflow.web", "toloka_airflow.records", "airflow.api_fastapi")))))
"""


def test_loading_the_plugin_imports_no_fastapi() -> None:
    with ForkedAirflow("airflow.plugins_manager", "airflow.timetables.base") as airflow:
        assert airflow.ask(LOADED) == airflow.ask(LOADED.replace("TolokaPlugin().timetables", "None")) == []


@pytest.fixture
def _fresh() -> None:
    plugin._apps.cache_clear()
    plugin._views.cache_clear()


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize(("version", "count"), [("3.1.0", 0), ("3.1.1", 0), ("3.1.2", 4), ("3.3.2rc1", 4)])
def test_before_airflow_3_1_2_there_is_no_page(version: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "version", lambda _: version)
    assert len(plugin.TolokaPlugin().external_views) == count
    assert len(plugin.TolokaPlugin().fastapi_apps) == (count > 0)
    plugin._apps.cache_clear()
    plugin._views.cache_clear()


@pytest.mark.usefixtures("_fresh")
def test_the_app_is_made_once() -> None:
    one, other = plugin.TolokaPlugin(), plugin.TolokaPlugin()
    assert len(one.fastapi_apps) == 1
    assert one.fastapi_apps is other.fastapi_apps
    assert one.external_views is other.external_views
