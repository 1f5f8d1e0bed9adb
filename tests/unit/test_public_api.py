"""What docs/versions.md declares public is what may be imported, and shows its arguments."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator, BaseSensorOperator

from toloka_airflow.triggers import OperationTrigger, PoolClosedTrigger, PoolTrigger

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "versions.md").read_text()
ROWS = re.findall(r"^\| `(toloka_airflow[\w.]*)` \| (.*?) \|", PAGE, re.MULTILINE)
PUBLIC = {module: set(re.findall(r"`(\w+)`", names)) for module, names in ROWS}
WITHOUT_A_PAGE = {"toloka_airflow.emulator.pytest_plugin", "toloka_airflow.preload"}
"""From which nobody imports a name; docs/reference.md says so in words."""
SHOWN = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "dags_examples").glob("*.py")]
IMPORT = re.compile(r"^ *from (toloka_airflow[\w.]*) import (\w+(?:, \w+)*|\([^)]*\))", re.MULTILINE)
PRIVATE_OPERATORS = {
    "toloka_airflow.operators.labelling_rounds",
    "toloka_airflow.operators.window_teardowns",
    "toloka_airflow.operators.windows",
}
"""Whose operators are tasks of the groups that `pool_window` and `label_until` make."""
BASES = {
    "ArchiveOperator",
    "CloseOperator",
    "CreateOperator",
    "LabellingOperator",
    "LifecycleOperator",
    "OpenOperator",
    "PoolOperator",
    "TrainingOperator",
    "WaitSensor",
    "WaitingOperator",
}
"""What operators have in common, and nobody places in a DAG."""
OWN_DEFAULTS = {("CreateTasksOperator", "timeout"), ("PayBonusesOperator", "timeout")}
"""What differs on purpose from the base class: these two wait for many operations, and not for one."""
HEAVY = {"fsspec", "httpx", "jsonschema", "numpy", "openlineage", "pandas", "pyarrow", "requests", "starlette", "yaml"}
"""What only a task that runs may need; what Airflow itself imports does not count."""


def classes() -> list[type[BaseOperator]]:
    """Return the operators and sensors that are declared public."""
    found = [getattr(import_module(module), name) for module, names in PUBLIC.items() for name in sorted(names)]
    return [each for each in found if inspect.isclass(each) and issubclass(each, BaseOperator)]


def test_some_are_declared() -> None:
    assert {"OpenPoolOperator", "OperationSensor"} <= {each.__name__ for each in classes()}
    assert len(ROWS) == len(PUBLIC)


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_names_what_is_declared_of_it(module: str) -> None:
    names = getattr(import_module(module), "__all__", [])
    assert set(names) == PUBLIC[module]
    assert all(hasattr(import_module(module), name) for name in names)


def test_the_reference_has_a_page_for_each_module() -> None:
    listed = re.findall(r"^   (toloka_airflow[\w.]*)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE)
    assert listed == [module for module in PUBLIC if module not in WITHOUT_A_PAGE]


@pytest.mark.parametrize("module", PUBLIC)
def test_what_lists_a_module_finds_its_names(module: str) -> None:
    assert PUBLIC[module] <= set(dir(import_module(module)))


def test_every_operator_is_declared_or_private() -> None:
    missing, seen = [], set()
    package = ROOT / "toloka_airflow"
    for path in [*package.glob("operators/*.py"), package / "sensors.py", package / "wait_sensor.py"]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}
        seen |= {module, *names}
        public = {name for name in names if re.fullmatch(r"[A-Z]\w*(Operator|Sensor)", name)} - BASES
        if module not in PRIVATE_OPERATORS:
            missing += [name for name in public if name not in PUBLIC.get(module, ())]
    assert missing == []
    assert seen >= PRIVATE_OPERATORS | BASES, "What is gone is taken out of these lists."


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_what_users_are_shown_is_public(path: Path) -> None:
    for module, names in IMPORT.findall(path.read_text()):
        assert set(re.findall(r"\w+", names)) <= PUBLIC.get(module, set()), f"{path.name} imports from {module}"


def test_importing_all_for_a_dag_imports_nothing_heavy() -> None:
    modules = [module for module in PUBLIC if module.split(".")[1] not in ("emulator", "quality", "rehearsal")]
    code = (
        "import importlib, json, sys\n"
        "import airflow.sdk, airflow.providers.common.compat.sdk\n"
        "for name in ('BaseOperator', 'BaseSensorOperator', 'ObjectStoragePath', 'conf'):\n"
        "    getattr(airflow.providers.common.compat.sdk, name)\n"
        "before = set(sys.modules)\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_no_argument_of_ours_is_hidden(cls: type[BaseOperator]) -> None:
    shown = inspect.signature(cls).parameters
    assert [name for name in own_arguments(cls) if name not in shown] == []


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_what_a_task_may_give_is_typed_so(cls: type[BaseOperator]) -> None:
    shown = inspect.signature(cls).parameters
    # A connection is chosen when the DAG is written.
    given = [name for name in cls.template_fields if name in shown and name != "toloka_conn_id"]
    wrong = [name for name in given if not re.search(r"XComArg|RowsOrPath|^Any$", str(shown[name].annotation))]
    assert given
    assert wrong == []


def own_arguments(cls: type[BaseOperator]) -> dict[str, Any]:
    """Return the arguments of a class and of all of ours that it is derived from."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("toloka_airflow."):
            found |= keyword_arguments(base)
    return found


def test_a_hidden_argument_would_be_found() -> None:
    class Hides(BaseSensorOperator):
        def __init__(self, *, pool_id: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    class Hidden(Hides):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    Hides.__module__ = Hidden.__module__ = "toloka_airflow.made_up"
    assert set(own_arguments(Hidden)) - set(inspect.signature(Hidden).parameters) == {"pool_id"}


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_an_argument_that_is_passed_on_has_the_default_of_where_it_goes(cls: type[BaseOperator]) -> None:
    shown = inspect.signature(cls).parameters
    drifts = [
        f"{name}={shown[name].default!r}, but {taken.default!r} in {base.__name__}"
        for base in cls.__mro__[1:]
        for name, taken in keyword_arguments(base).items()
        if name in shown and shown[name].default != taken.default and (cls.__name__, name) not in OWN_DEFAULTS
    ]
    assert drifts == []


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_an_argument_of_a_base_class_is_passed_on(cls: type[BaseOperator]) -> None:
    assert not_passed_on(cls) == []


def keyword_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Return the arguments of the constructor that a class itself defines."""
    constructor = vars(cls).get("__init__")
    # Airflow wraps an inherited one, too, and has the class keep that.
    if constructor is None or inspect.unwrap(constructor).__qualname__ != f"{cls.__qualname__}.__init__":
        return {}
    found = inspect.signature(constructor).parameters.values()
    return {each.name: each for each in found if each.kind is each.KEYWORD_ONLY}


def not_passed_on(cls: type[BaseOperator]) -> list[str]:
    """Return what a constructor of ours takes from the signature of a base class, and does not give to it."""
    found = []
    for number, taker in enumerate(cls.__mro__):
        of_bases = {name for base in cls.__mro__[number + 1 :] for name in keyword_arguments(base)}
        repeated = keyword_arguments(taker).keys() & of_bases
        if repeated and taker.__module__.startswith("toloka_airflow."):
            given = set(re.findall(r"\b(\w+)=\1\b", inspect.getsource(vars(taker)["__init__"])))
            found += [f"{taker.__name__} keeps {name} for itself" for name in sorted(repeated - given)]
    return found


def test_an_argument_that_is_not_passed_on_would_be_found() -> None:
    class Takes(BaseSensorOperator):
        def __init__(self, *, pool_id: str = "1", training_id: str = "1", **kwargs: Any) -> None:
            super().__init__(**kwargs)

    class Keeps(Takes):
        def __init__(self, *, pool_id: str = "1", training_id: str = "1", **kwargs: Any) -> None:
            super().__init__(training_id=training_id, **kwargs)

    Takes.__module__ = Keeps.__module__ = "toloka_airflow.made_up"
    assert not_passed_on(Keeps) == ["Keeps keeps pool_id for itself"]


def test_the_citation_names_this_version() -> None:
    [cited] = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited == import_module("toloka_airflow").__version__


@pytest.mark.parametrize("cls", [OperationTrigger, PoolTrigger, PoolClosedTrigger], ids=lambda cls: cls.__name__)
def test_the_arguments_of_a_trigger_are_shown_and_documented(cls: type[Any]) -> None:
    shown = inspect.signature(cls).parameters.values()
    assert {each.kind for each in shown} == {inspect.Parameter.KEYWORD_ONLY}
    assert [each.name for each in shown] == re.findall(r":param (\w+):", str(cls.__doc__))
