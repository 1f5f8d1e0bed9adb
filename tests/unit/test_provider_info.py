"""What Airflow itself makes of the provider: the connection form, the plugin, the list of providers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseOperator

import toloka_airflow.operators
from tests.forked_airflow import ForkedAirflow
from toloka_airflow import __version__
from toloka_airflow.get_provider_info import get_provider_info
from toloka_airflow.hooks import TolokaHook

ROOT = Path(__file__).resolve().parents[2]
INFO = get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]
FIELDS = CONNECTION_TYPE["conn-fields"]
READS_PROVIDER_INFO = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 2)


def is_operator(found: Any, module: str) -> bool:
    """Return whether a module has this class of tasks for DAGs."""
    is_here = isinstance(found, type) and issubclass(found, BaseOperator) and found.__module__ == module
    is_whole = is_here and not isabstract(found) and found.execute is not BaseOperator.execute
    return is_whole and not found.__name__.startswith("_")


MAIN = "from airflow.__main__ import main; main()"
FORM = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
[form] = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "toloka"]
fields = {name: dict(field) for name, field in form.extra_fields.items()}
print("\\n" + json.dumps({**form.model_dump(), "extra_fields": fields}))
"""
MANAGER = """
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
manager.initialize_providers_list()
widgets = {key: info.field for key, info in manager.connection_form_widgets.items() if "__toloka__" in key}
info = manager.hooks["toloka"]
print("\\n" + json.dumps({
    "provider": manager.providers["airflow-toloka"].data,
    "hook": [info.hook_class_name, info.hook_name, info.connection_id_attribute_name],
    "widgets": widgets,
    "behaviour": manager.field_behaviours["toloka"],
}))
"""
# What Airflow's commands import and make first; tasks load plugins when they ask for listeners.
COMPONENT = """
from airflow.cli import cli_parser
cli_parser.get_parser()
import airflow.cli.commands.{0}_command
from airflow.jobs.job import Job
Job()
"""
TASK = """
from airflow.sdk.execution_time.task_runner import get_listener_manager
get_listener_manager()
"""
BEGINNING = """
import gc, json, sys
modules = ["requests", "toloka_airflow.api.client", "toloka_airflow.triggers.shared_waits"]
imported = [name in sys.modules for name in modules]
is_frozen = gc.get_freeze_count() > 10_000  # Python 3.12 begins with some hundreds, 3.11 and 3.13 with none
print("\\n" + json.dumps(["toloka_airflow.plugin" in sys.modules, imported, is_frozen]))
"""
NOT_AGAIN = """
import gc, os
gc.freeze = lambda: os._exit(1)
"""
LOADED = """
import airflow.jobs.triggerer_job_runner
from toloka_airflow.plugin import TolokaPlugin
TolokaPlugin.on_load()
"""
LISTENERS = """
import json, sys
from airflow.listeners.listener import get_listener_manager
print("\\n" + json.dumps([get_listener_manager().has_listeners, "toloka_airflow.plugin" in sys.modules]))
"""

EXAMPLES = """
import os
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "True"
from airflow.dag_processing.bundles.manager import DagBundlesManager
print("bundles:", *(bundle.name for bundle in DagBundlesManager().get_all_dag_bundles()))
"""


@pytest.fixture(scope="module")
def process() -> Iterator[ForkedAirflow]:
    """What answers each question in a process of its own, because Airflow's managers remember."""
    with ForkedAirflow() as process:
        yield process


def listed(process: ForkedAirflow, *command: str) -> Any:
    """Return what a command of Airflow lists."""
    return process.ask(MAIN, *command, "-o", "json")


@cache
def imported_with_provider_info() -> list[str]:
    code = "import json, sys, toloka_airflow.get_provider_info as info; info.get_provider_info()"
    return json.loads(printed(f"{code}; print(json.dumps(sorted(sys.modules)))"))  # type: ignore[no-any-return]


def printed(code: str) -> str:
    """Run Python code in a new process, and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "toloka" not in done.stderr.lower(), "Airflow has something to say about the provider"
    return done.stdout


def test_questions_are_asked_where_nothing_has_happened_yet(process: ForkedAirflow) -> None:
    assert process.ask("import sys\n" + BEGINNING) == [False, [False] * 3, False]


class TestData:
    @pytest.mark.parametrize("package", ["airflow", "requests", "pendulum", "toloka_airflow.hooks"])
    def test_reading_it_imports_nothing(self, package: str) -> None:
        assert package not in imported_with_provider_info()

    def test_it_follows_the_schema_of_airflow(self) -> None:
        schema = Path(airflow.__file__).parent / "provider_info.schema.json"
        jsonschema.validate(INFO, json.loads(schema.read_text()))
        assert all(INFO[key] for key in ("package-name", "name", "description"))

    def test_it_names_every_module_of_operators(self) -> None:
        [group] = INFO["operators"]
        found = [
            module.name
            for module in iter_modules(toloka_airflow.operators.__path__, "toloka_airflow.operators.")
            if any(is_operator(each, module.name) for each in vars(import_module(module.name)).values())
        ]
        assert group["python-modules"] == sorted(found)

    @pytest.mark.parametrize("kind", ["operators", "sensors", "triggers"])
    def test_what_it_names_is_there(self, kind: str) -> None:
        [group] = INFO[kind]
        assert group["integration-name"] == INFO["integrations"][0]["integration-name"]
        assert all(import_module(name) for name in group["python-modules"])

    def test_every_call_gives_a_copy(self) -> None:
        get_provider_info()["connection-types"].clear()
        assert get_provider_info() == INFO

    def test_it_is_json(self) -> None:
        assert json.loads(json.dumps(INFO)) == INFO

    def test_the_names_are_those_of_the_hook(self) -> None:
        assert CONNECTION_TYPE["hook-class-name"] == f"{TolokaHook.__module__}.{TolokaHook.__qualname__}"
        assert CONNECTION_TYPE["connection-type"] == TolokaHook.conn_type
        assert CONNECTION_TYPE["hook-name"] == TolokaHook.hook_name

    def test_hook_and_provider_info_agree(self) -> None:
        behaviour = TolokaHook.get_ui_field_behaviour()
        assert behaviour == {
            key.replace("-", "_"): value for key, value in CONNECTION_TYPE["ui-field-behaviour"].items()
        }
        schema_path = Path(airflow.__file__).parent / "customized_form_field_behaviours.schema.json"
        jsonschema.validate(behaviour, json.loads(schema_path.read_text()))

    def test_the_token_has_one_place_that_is_masked(self) -> None:
        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        assert behaviour["relabeling"]["password"] == "API token"
        assert "password" not in behaviour["hidden-fields"]
        assert not {"token", "password", "url", "host"} & set(FIELDS)


class TestForm:
    """The connection form that the Airflow UI draws; the same on every version."""

    @pytest.mark.parametrize(
        ("name", "kind", "default", "enum"),
        [
            ("environment", "string", "production", ["production", "sandbox", "yandex_tasks"]),
            ("auth_scheme", "string", "auto", ["auto", "OAuth", "ApiKey"]),
            ("account_id", "string", None, None),
            ("timeout", "integer", 60, None),
            ("verify", "string", "true", None),
            ("proxies", "string", None, None),
            ("allow_http", "boolean", False, None),
        ],
    )
    def test_field(self, process: ForkedAirflow, name: str, kind: str, default: Any, enum: list[str] | None) -> None:
        field = process.ask(FORM)["extra_fields"][name]
        assert field["schema"]["type"] == [kind, "null"]
        assert field["value"] == default
        assert field["schema"].get("enum") == enum
        assert field["schema"]["title"] == FIELDS[name]["label"]
        description = field["description"] or field["schema"].get("description")
        assert description == FIELDS[name]["description"]

    def test_order_and_completeness(self, process: ForkedAirflow) -> None:
        names = ["environment", "auth_scheme", "account_id", "timeout", "verify", "proxies", "allow_http"]
        assert list(FIELDS) == names
        assert sorted(process.ask(FORM)["extra_fields"]) == sorted(names)

    def test_standard_fields(self, process: ForkedAirflow) -> None:
        fields = process.ask(FORM)["standard_fields"]
        assert fields["password"] == {"hidden": False, "title": "API token", "placeholder": "OAuth token or API key"}
        assert fields["host"]["hidden"] is False
        assert fields["host"]["title"] == "Base URL"
        for name in ("login", "port", "url_schema"):
            assert fields[name]["hidden"] is True
        assert fields["description"] is None

    def test_hook(self, process: ForkedAirflow) -> None:
        form = process.ask(FORM)
        assert form["hook_class_name"] == "toloka_airflow.hooks.TolokaHook"
        assert form["hook_name"] == "Toloka"


class TestManager:
    @pytest.mark.skipif(not READS_PROVIDER_INFO, reason="older Airflow asks the hook: see TestForm")
    def test_providers_manager(self, process: ForkedAirflow) -> None:
        seen = process.ask(MANAGER)
        assert INFO.items() <= seen["provider"].items()
        assert seen["hook"][:2] == ["toloka_airflow.hooks.TolokaHook", "Toloka"]
        assert set(seen["widgets"]) == {f"extra__toloka__{name}" for name in FIELDS}
        assert {"hidden_fields", "relabeling", "placeholders"} <= set(seen["behaviour"])

    def test_airflow_lists_the_provider(self, process: ForkedAirflow) -> None:
        [ours] = [row for row in listed(process, "providers", "list") if row["package_name"] == "airflow-toloka"]
        assert ours["version"] == __version__
        assert ours["description"].startswith("Label data with Toloka")

    def test_airflow_lists_the_hook(self, process: ForkedAirflow) -> None:
        [ours] = [row for row in listed(process, "providers", "hooks") if row["connection_type"] == "toloka"]
        assert ours["class"] == "toloka_airflow.hooks.TolokaHook"
        assert ours["conn_id_attribute_name"] == "toloka_conn_id"
        assert ours["package_name"] == "airflow-toloka"
        assert ours["hook_name"] == "Toloka"

    def test_airflow_knows_the_options(self, process: ForkedAirflow) -> None:
        code = f"import os; os.environ.pop('AIRFLOW__TOLOKA__DEFER_AFTER')\n{MAIN}"
        done = process.run(code, "config", "get-value", "toloka", "defer_after")
        assert (done.code, done.out.splitlines()[-1]) == (0, "5")

    def test_airflow_lists_the_options(self, process: ForkedAirflow) -> None:
        code = f"import os; os.environ.pop('AIRFLOW__TOLOKA__DEFER_AFTER')\n{MAIN}"
        done = process.run(code, "config", "list", "--section", "toloka", "--include-descriptions")
        assert done.code == 0
        assert "[toloka]" in done.out
        for name in INFO["config"]["toloka"]["options"]:
            assert f"{name} = " in done.out

    def test_airflow_lists_the_link(self, process: ForkedAirflow) -> None:
        names = [row["extra_link_class_name"] for row in listed(process, "providers", "links")]
        assert names.count("toloka_airflow.links.TolokaLink") == 1
        assert names.count("toloka_airflow.links.ReportLink") == 1

    def test_airflow_lists_the_triggers(self, process: ForkedAirflow) -> None:
        [ours] = [row for row in listed(process, "providers", "triggers") if row["package_name"] == "airflow-toloka"]
        assert ours["class"] == "toloka_airflow.triggers"

    def test_airflow_tells_all_of_the_provider(self, process: ForkedAirflow) -> None:
        [ours] = listed(process, "providers", "get", "airflow-toloka", "--full")
        for key in ("operators", "sensors", "triggers", "extra-links", "config"):
            assert key in json.dumps(ours)

    def test_airflow_lists_the_plugin(self, process: ForkedAirflow) -> None:
        [ours] = [row for row in listed(process, "plugins") if row["name"] == "toloka"]
        assert "airflow-toloka" in ours["source"]
        assert "TolokaLink" in str(ours)

    def test_airflow_finds_nothing_wrong_when_it_looks_for_example_dags(self, process: ForkedAirflow) -> None:
        """And none of ours: beside a copy, which somebody has edited, it would be a second DAG of the same id."""
        output = process.run(EXAMPLES)
        assert "bundles:" in output.out
        assert "example_dags" in output.out
        assert "toloka" not in (output.out + output.err).replace(str(ROOT), "").lower()


class TestBeginning:
    @pytest.mark.parametrize("component", ["scheduler", "triggerer"])
    def test_what_others_fork_from_has_everything_imported(self, process: ForkedAirflow, component: str) -> None:
        is_loaded, imported, is_frozen = process.ask(COMPONENT.format(component) + BEGINNING)
        assert is_loaded
        assert imported == [True] * 3
        assert is_frozen == (component == "triggerer")

    def test_a_task_process_imports_nothing_for_other_dags(self, process: ForkedAirflow) -> None:
        assert process.ask(TASK + BEGINNING) == [True, [False] * 3, False]

    def test_the_triggers_process_loads_plugins_without_a_collection(self, process: ForkedAirflow) -> None:
        assert process.ask(COMPONENT.format("triggerer") + NOT_AGAIN + TASK + BEGINNING) == [True, [True] * 3, True]

    def test_what_cannot_be_imported_does_not_cost_the_plugin(self, process: ForkedAirflow, tmp_path: Path) -> None:
        (tmp_path / "requests.py").write_text("raise ImportError('this requests is broken')")
        output = process.run(LOADED, path=str(tmp_path))
        assert output.code == 0
        assert "is not prepared" in output.out + output.err
        assert "this requests is broken" in output.out + output.err

    def test_there_are_no_listeners(self, process: ForkedAirflow) -> None:
        """Beside one, Airflow refuses every DAG that has a task with ``end_from_trigger=True``."""
        assert process.ask(LISTENERS) == [False, True]
