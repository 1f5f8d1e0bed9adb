"""What a scheduler, a worker or a task imports of the page: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forked_airflow import ForkedAirflow
from toloka_airflow.plugin import TolokaPlugin

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


@pytest.fixture(scope="module")
def airflow() -> Iterator[ForkedAirflow]:
    with ForkedAirflow("airflow.plugins_manager", "airflow.timetables.base") as forked:
        yield forked


def test_loading_the_plugin_imports_no_fastapi(airflow: ForkedAirflow) -> None:
    assert airflow.ask(LOADED) == airflow.ask(LOADED.replace("TolokaPlugin().timetables", "None")) == []


SHOWN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from toloka_airflow.plugin import TolokaPlugin
print(json.dumps([len(TolokaPlugin().fastapi_apps), len(TolokaPlugin().external_views)]))
"""


def install(folder: Path, version: str) -> None:
    """Have a folder say that a version of Airflow is installed in it, and no more."""
    info = folder / f"apache_airflow_core-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: apache-airflow-core\nVersion: {version}\n")


@pytest.mark.parametrize(("version", "count"), [("3.1.0", 0), ("3.1.1", 0), ("3.1.2", 4), ("3.3.2rc1", 4)])
def test_before_airflow_3_1_2_there_is_no_page(
    airflow: ForkedAirflow, version: str, count: int, tmp_path: Path
) -> None:
    install(tmp_path, version)
    assert airflow.ask(SHOWN, str(tmp_path)) == [int(count > 0), count]


def test_the_app_is_made_once() -> None:
    one, other = TolokaPlugin(), TolokaPlugin()
    assert len(one.fastapi_apps) == 1
    assert one.fastapi_apps is other.fastapi_apps
    assert one.external_views is other.external_views
