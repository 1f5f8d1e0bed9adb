"""Who may import whom; CONTRIBUTING.md has the same for readers, with fewer details."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import combinations
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "toloka_airflow"
LAID_OUT = (PACKAGE, "benchmarks", "demo", "docs", "fleet", "release", "schemas", "tests")

# All names of ours are without "toloka_airflow.". A module has the row with its name, or with the longest name of a
# package that it is in; so a package in a row does not stand for those of its modules that have rows of their own.
# Modules of one row may import each other. All may import the version from toloka_airflow itself, and all but the
# emulator, which has the words of Toloka, the addresses that errors end with, from a module that imports nothing.
#
# "of ours": in parentheses is what may be imported for annotations only.
# "at import": third-party packages that importing the module imports. "later": those that only functions and
# annotations may import.
#
# Nothing is permitted that is not needed: what is no longer imported is taken out, so that it does not come back
# unnoticed.
RULES = """
module or package                 | of ours                                           | at import        | later
----------------------------------|---------------------------------------------------|------------------|--------------
label_until                       | _internal operators windows                       | airflow          |
windows                           | checks hooks operators sensors                    | airflow          |
operators                         | _internal api assets checks hooks lineage links   | airflow pendulum |
                                  | quality quality.report storage                    |                  |
                                  | transfer.attachments                              |                  |
                                  | transfer.bonuses                                  |                  |
                                  | transfer.changes transfer.download                |                  |
                                  | transfer.review transfer.upload                   |                  |
                                  | triggers triggers.__init__                        |                  |
transfer.bonuses                  | _internal api storage transfer                    |                  | airflow
                                  | transfer.row_sources                              |                  |
transfer.upload                   | _internal api links storage transfer              | msgspec          | airflow
                                  | transfer.row_sources                              |                  |
transfer.download                 | _internal api storage transfer                    | msgspec          | pyarrow
                                  | transfer.download.parquet_answers                 |                  |
transfer.attachments              | api storage transfer transfer.download            |                  | pyarrow
transfer.download.parquet_answers | storage                                           | msgspec pyarrow  |
transfer.review                   | api storage transfer                              |                  | airflow
transfer.changes                  | api transfer transfer.row_sources                 |                  |
transfer.row_sources              | storage transfer                                  |                  | airflow
                                  |                                                   |                  | pyarrow
transfer                          | api storage                                       | msgspec          |
rehearsal                         | checks emulator.calls emulator.forms              |                  |
                                  | emulator.people emulator.quality                  |                  |
                                  | emulator.resources emulator.simulation            |                  |
                                  | emulator.world storage transfer transfer.upload   |                  |
cli.rehearsal                     | checks rehearsal storage                          |                  |
quality                           | quality.methods quality.numeric storage transfer  | msgspec          | airflow numpy
                                  | transfer.row_sources                              |                  | pyarrow
quality.report                    | quality quality.methods quality.numeric           | markupsafe       | jinja2 numpy
                                  |                                                   | msgspec          |
quality.methods                   | quality.numeric                                   |                  | numpy
quality.numeric                   |                                                   | numpy            |
labels                            | api hooks storage transfer.download               |                  | airflow
voting                            | api transfer transfer.review                      |                  |
sensors                           | _internal api assets hooks links triggers         | airflow          |
                                  | triggers.__init__ triggers.close_on_kill          |                  |
                                  | wait_sensor                                       |                  |
wait_sensor                       | _internal api hooks lineage links triggers        | airflow          |
triggers.__init__                 | triggers.pool_closed triggers.shared_waits        |                  |
triggers.shared_waits             | api triggers triggers.killed_triggers             |                  |
                                  | triggers.lists triggers.measuring                 |                  |
                                  | triggers.statistics                               |                  |
triggers.statistics               | _internal api triggers triggers.shared_polling    |                  | airflow
triggers.killed_triggers          | api triggers triggers.close_on_kill               |                  |
triggers.measuring                | api triggers                                      |                  |
triggers.close_on_kill            | _internal api                                     |                  |
triggers.pool_closed              | _internal api triggers triggers.lists             | airflow          |
                                  | triggers.shared_polling                           |                  |
triggers.lists                    | api triggers.shared_polling                       |                  |
triggers.shared_polling           | triggers (api)                                    | airflow          |
triggers                          | _internal api hooks                               | airflow          |
lineage                           | assets hooks storage                              |                  | airflow attrs
                                  |                                                   |                  | openlineage
cli.doctor                        | doctor doctor.__init__                            |                  |
records                           | _internal links timetables                        | msgspec          | airflow
                                  |                                                   |                  | sqlalchemy
web                               | _internal api hooks links records                 | airflow fastapi  |
                                  |                                                   | msgspec starlette |
doctor.diagnosis                  | doctor get_provider_info hooks                    |                  |
doctor.__init__                   | doctor doctor.diagnosis                           |                  |
doctor                            | _internal _internal.startup api get_provider_info | airflow          | sqlalchemy
                                  | hooks records                                     |                  |
retries                           | _internal api                                     |                  | airflow
assets                            | api                                               |                  | airflow
hooks                             | _internal api get_provider_info                   | airflow          | wtforms
preload                           | _internal.startup                                 |                  |
plugin                            | _internal.startup links timetables web            | airflow          |
links                             | api                                               | airflow          |
_internal.startup                 | _internal api api.timed_session checks operators  |                  | requests
                                  | triggers.pool_closed triggers.shared_waits        |                  |
                                  | windows                                           |                  |
_internal                         | api                                               | airflow          |
cli                               | api checks cli.rehearsal hooks operators          |                  | airflow
                                  | rehearsal storage transfer.upload                 |                  |
checks                            | storage transfer.row_sources transfer.upload      |                  | airflow
                                  |                                                   |                  | jsonschema
timetables                        |                                                   | airflow pendulum |
storage                           |                                                   |                  | airflow
                                  |                                                   |                  | asyncssh
                                  |                                                   |                  | fsspec
                                  |                                                   |                  | sshfs yaml
get_provider_info                 |                                                   |                  |
__init__                          |                                                   |                  |
_internal.troubleshooting         |                                                   |                  |
_internal.wording                 |                                                   |                  |

api                               | api.timed_session                                 |                  | requests
                                  |                                                   |                  | urllib3
api.timed_session                 |                                                   | requests         |

emulator.__init__                 |                                                   |                  |
emulator.__main__                 | emulator.people emulator.server                   |                  |
emulator.pytest_plugin            | emulator.server                                   | pytest           |
emulator.server                   | emulator.http emulator.http.guard                 |                  |
                                  | emulator.resources emulator.runner                |                  |
                                  | emulator.simulation                               |                  |
                                  | emulator.world (emulator.people)                  |                  |
emulator.runner                   | emulator.http (emulator.http.guard)               | uvicorn          | starlette
                                  | (emulator.simulation)                             |                  |
emulator.http                     | emulator.calls emulator.forms emulator.http.guard | starlette        |
                                  | emulator.resources emulator.simulation            |                  |
                                  | emulator.world                                    |                  |
emulator.http.guard               |                                                   |                  | starlette
emulator.simulation               | emulator.forms emulator.people emulator.quality   |                  |
                                  | emulator.resources emulator.world                 |                  |
emulator.people                   | emulator.forms emulator.quality                   |                  |
                                  | emulator.resources emulator.world                 |                  |
emulator.quality                  | emulator.forms emulator.resources emulator.world  |                  |
emulator.resources                | emulator.calls emulator.courier emulator.forms    |                  |
                                  | emulator.world                                    |                  |
emulator.calls                    | emulator.world (emulator.forms)                   |                  |
emulator.forms                    | emulator.world                                    |                  |
emulator.world                    | emulator.courier                                  |                  |
emulator.courier                  |                                                   |                  |
"""

FOR_ALL = "_internal.troubleshooting", "_internal.wording"
OURS, ANNOTATIONS, AT_IMPORT, LATER = "of ours", "of ours, for annotations", "at import", "later"
Permissions = dict[str, set[str]]


def read_rules(text: str) -> dict[str, Permissions]:
    """Return what each row permits; a line without a name goes on with the row above."""
    rules: dict[str, Permissions] = {}
    row: Permissions = {}
    for line in text.strip().splitlines()[2:]:
        if not line.strip():
            continue
        name, ours, at_import, later = (cell.split() for cell in line.split("|"))
        if name:
            assert name[0] not in rules, f"{name[0]} has two rows"
            row = rules[name[0]] = {OURS: set(), ANNOTATIONS: set(), AT_IMPORT: set(), LATER: set()}
        row[OURS] |= {module for module in ours if module[0] != "("}
        row[ANNOTATIONS] |= {module.strip("()") for module in ours if module[0] == "("}
        row[AT_IMPORT] |= set(at_import)
        row[LATER] |= set(later)
    return rules


@dataclass(frozen=True)
class Import:
    """One name that is imported: by its full name, and whether in a function or for annotations only."""

    name: str
    in_function: bool = False
    for_annotations: bool = False
    line: int = 0


def imports(node: ast.AST, in_function: bool = False, for_annotations: bool = False) -> Iterator[Import]:
    """Return what the code imports; what is imported from a package may be a module of it."""
    for child in ast.iter_child_nodes(node):
        where = in_function, for_annotations
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, *where, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            prefix = "." * child.level + (child.module or "")
            yield from (Import(f"{prefix}.{alias.name}", *where, child.lineno) for alias in child.names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, True, for_annotations)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for part in child.body:
                yield from imports(ast.Module([part], []), in_function, True)
            for part in child.orelse:
                yield from imports(ast.Module([part], []), in_function, for_annotations)
        else:
            yield from imports(child, in_function, for_annotations)


class Checker:
    """
    Hold the modules of a package against the rules.

    :param folder: Where the package is.
    """

    def __init__(self, folder: Path, rules: str) -> None:
        self.rules = read_rules(rules)
        self.used = {name: {kind: set[str]() for kind in permitted} for name, permitted in self.rules.items()}
        self.used_rows: set[str] = set()
        self.modules = {_module_name(folder, path): path for path in sorted(folder.rglob("*.py"))}

    def errors(self) -> list[str]:
        """Return what is against the rules, and what they permit although nobody needs it."""
        found = [error for module in self.modules for error in self.errors_of(module)]
        return found + list(self._not_needed())

    def errors_of(self, module: str) -> Iterator[str]:
        """Return what a module imports against the rules."""
        row = self._row(module)
        if row is None:
            yield f"{module} is in no row of the rules"
            return
        self.used_rows.add(row)
        for imported in imports(ast.parse(self.modules[module].read_text())):
            if error := self._error(row, imported):
                yield f"{module}, line {imported.line}: {error}"

    def _error(self, row: str, imported: Import) -> str | None:
        first = imported.name.split(".")[0]
        if not first:
            return f"{imported.name} is a relative import"
        if first == PACKAGE:
            return self._error_of_ours(row, imported)
        if first in sys.stdlib_module_names:
            return None
        kinds = [LATER, AT_IMPORT] if imported.in_function or imported.for_annotations else [AT_IMPORT]
        return self._permitted(row, kinds, first)

    def _error_of_ours(self, row: str, imported: Import) -> str | None:
        # A name of a module that is none itself is a class, a function, a constant.
        module = imported.name if imported.name in self.modules else imported.name.rpartition(".")[0]
        if module not in self.modules:
            return f"there is no {imported.name}"
        target = self._row(module)
        if target in (row, "__init__") or (target in FOR_ALL and not row.startswith("emulator")):
            return None
        return self._permitted(row, [ANNOTATIONS, OURS] if imported.for_annotations else [OURS], target or module)

    def _permitted(self, row: str, kinds: list[str], target: str) -> str | None:
        for kind in kinds:
            if target in self.rules[row][kind]:
                self.used[row][kind].add(target)
                return None
        return f"{row} may not import {target} ({kinds[0]})"

    def _row(self, module: str) -> str | None:
        """Return the name of the row that a module has."""
        parts = module.split(".")[1:] + (["__init__"] if self.modules[module].name == "__init__.py" else [])
        names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((name for name in names if name in self.rules), None)

    def _not_needed(self) -> Iterator[str]:
        for row, permitted in self.rules.items():
            if row not in self.used_rows:
                yield f"{row} has a row, and no module"
            for kind, names in permitted.items():
                yield from (f"{row} need not import {name} ({kind})" for name in sorted(names - self.used[row][kind]))


def _module_name(folder: Path, path: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("module", Checker(ROOT / PACKAGE, RULES).modules)
def test_a_module_imports_by_the_rules(module: str) -> None:
    assert list(Checker(ROOT / PACKAGE, RULES).errors_of(module)) == []


def test_nothing_is_permitted_that_is_not_needed() -> None:
    assert Checker(ROOT / PACKAGE, RULES).errors() == []


def test_the_rules_have_no_circle() -> None:
    """What is imported for annotations is not counted: at run time nobody imports it."""
    rules = read_rules(RULES)
    TopologicalSorter({name: permitted[OURS] for name, permitted in rules.items()}).prepare()
    assert {target for permitted in rules.values() for target in permitted[OURS] | permitted[ANNOTATIONS]} <= set(rules)


def test_the_layers_of_the_emulator_point_one_way() -> None:
    """Not even for annotations does a layer know one that is above it."""
    rules = {name: permitted for name, permitted in read_rules(RULES).items() if name.startswith("emulator.")}
    TopologicalSorter({name: permitted[OURS] | permitted[ANNOTATIONS] for name, permitted in rules.items()}).prepare()
    order = ["http", "simulation", "people", "quality", "resources", "calls", "forms", "world"]
    for above, below in combinations(order, 2):
        assert f"emulator.{above}" not in rules[f"emulator.{below}"][OURS] | rules[f"emulator.{below}"][ANNOTATIONS]


def test_no_two_modules_of_the_emulator_import_each_other() -> None:
    """Modules of one layer may import each other by the rules; they are in an order all the same."""
    modules = {name: path for name, path in Checker(ROOT / PACKAGE, RULES).modules.items() if ".emulator." in name}
    TopologicalSorter({name: set(_needed(path, modules)) for name, path in modules.items()}).prepare()


def _needed(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for imported in imports(ast.parse(path.read_text())):
        module = imported.name if imported.name in modules else imported.name.rpartition(".")[0]
        if module in modules and not imported.for_annotations:
            yield module


def test_the_layout_for_readers_names_every_module_and_no_other() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(
        re.findall(r"\b\w+\.py\b", page[page.index("```text\ntoloka_airflow/") : page.index("Who may import whom")])
    )
    ours = {path for path in (ROOT / PACKAGE).rglob("*.py") if path.name != "__init__.py"}
    by_noun = [ROOT / PACKAGE / folder for folder in ("api/client", "api/models", "emulator")]
    missing = [
        path for path in ours if path.name not in named and not any(path.is_relative_to(each) for each in by_noun)
    ]
    assert sorted(missing) == []
    files = {path.name for folder in LAID_OUT for path in (ROOT / folder).rglob("*.py")} | {"airflow_toloka.py"}
    assert sorted(named - files) == []


@pytest.mark.parametrize("row", ["api", "emulator"])
def test_the_client_and_the_emulator_share_nothing_and_need_no_airflow(row: str) -> None:
    ours = {name: permitted for name, permitted in read_rules(RULES).items() if name.split(".")[0] == row}
    assert ours
    for permitted in ours.values():
        assert {name.split(".")[0] for name in permitted[OURS] | permitted[ANNOTATIONS]} <= {row}
        assert "airflow" not in permitted[AT_IMPORT] | permitted[LATER]


SMALL_RULES = """
module or package | of ours       | at import | later
------------------|---------------|-----------|---------
hooks             | api (sensors) | airflow   |
sensors           | hooks         |           |
api               | api.base      |           | requests
api.base          |               |           |
__init__          |               |           |
"""
SMALL_TREE = {
    "__init__.py": "__version__ = '1'",
    "hooks.py": """
        from __future__ import annotations
        import airflow.hooks, json
        from toloka_airflow import __version__
        from toloka_airflow.api.client import Client
        if TYPE_CHECKING:
            from toloka_airflow.sensors import Sensor
    """,
    "sensors.py": "from toloka_airflow.hooks import Hook",
    "api/__init__.py": "",
    "api/client.py": """
        from toloka_airflow.api import base, errors
        def get():
            import requests.adapters
    """,
    "api/errors.py": "import typing",
    "api/base.py": "",
}


@pytest.mark.parametrize(
    ("path", "code", "error"),
    [
        ("new.py", "", "toloka_airflow.new is in no row of the rules"),
        ("new/__init__.py", "", "toloka_airflow.new is in no row of the rules"),
        ("new/module.py", "", "toloka_airflow.new.module is in no row of the rules"),
        ("api/client.py", "import requests", "client, line 1: api may not import requests (at import)"),
        ("api/client.py", "try:\n import requests\nexcept E: pass", "line 2: api may not import requests (at import)"),
        ("api/client.py", "class A:\n import msgspec", "client, line 2: api may not import msgspec (at import)"),
        ("api/client.py", "from msgspec.json import decode", "client, line 1: api may not import msgspec (at import)"),
        ("api/client.py", "def get():\n import airflow", "client, line 2: api may not import airflow (later)"),
        ("api/client.py", "if TYPE_CHECKING:\n import airflow", "line 2: api may not import airflow (later)"),
        ("api/client.py", "import toloka_airflow.hooks", "client, line 1: api may not import hooks (of ours)"),
        ("api/client.py", "from toloka_airflow import hooks", "client, line 1: api may not import hooks (of ours)"),
        ("api/client.py", "def get():\n from toloka_airflow.hooks import Hook", "api may not import hooks (of ours)"),
        ("api/client.py", "from toloka_airflow.gone import it", "client, line 1: there is no toloka_airflow.gone.it"),
        ("api/client.py", "from . import errors", "client, line 1: ..errors is a relative import"),
        ("api/base.py", "from toloka_airflow.api import client", "base, line 1: api.base may not import api (of ours)"),
        (
            "api/new.py",
            "from toloka_airflow.sensors import Sensor",
            "new, line 1: api may not import sensors (of ours)",
        ),
        ("hooks.py", "import toloka_airflow.sensors", "hooks, line 1: hooks may not import sensors (of ours)"),
        (
            "hooks.py",
            "if TYPE_CHECKING:\n pass\nelse:\n import toloka_airflow.sensors",
            "line 4: hooks may not import sensors (of ours)",
        ),
        ("hooks.py", "", "hooks need not import airflow (at import)"),
        ("hooks.py", "", "hooks need not import api (of ours)"),
        ("hooks.py", "", "hooks need not import sensors (of ours, for annotations)"),
        ("api/client.py", "", "api need not import requests (later)"),
        ("api/base.py", None, "api.base has a row, and no module"),
        ("hooks.py", None, "sensors, line 1: there is no toloka_airflow.hooks.Hook"),
    ],
)
def test_the_check_finds(tmp_path: Path, path: str, code: str | None, error: str) -> None:
    package = tmp_path / PACKAGE
    write(package, SMALL_TREE)
    assert Checker(package, SMALL_RULES).errors() == []
    if code is None:
        (package / path).unlink()
    else:
        write(package, {path: code})
    assert [found for found in Checker(package, SMALL_RULES).errors() if error in found]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, code in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(code))
