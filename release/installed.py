"""
Check the package that this Python has installed: every file, every module, and that Airflow finds it.

``python -I release/installed.py AIRFLOW CHECKOUT FILE ...`` runs with the Python of an environment: it must have this
version of Airflow, and these files of the package as they are in the checkout, from which nothing is imported. It ends
with 1 and says what is wrong.
"""

from __future__ import annotations

import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module, metadata
from io import StringIO
from pathlib import Path

OURS = metadata.distribution("airflow-toloka")
OPTIONAL = {
    re.split(r"[^\w-]", required)[0].replace("-", "_") for required in OURS.requires or () if "extra ==" in required
}
"""What comes with an extra only."""


def main(airflow: str, checkout: Path, names: list[str]) -> int:
    """Print what is wrong, and return the exit code."""
    problems = [*versions(airflow), *files(checkout, names), *modules(), *found_by_airflow()]
    print(*problems, sep="\n")
    return 1 if problems else 0


def versions(airflow: str) -> Iterator[str]:
    """Airflow is the one that was asked for."""
    if (installed := metadata.version("apache-airflow")) != airflow:
        yield f"Airflow {installed} is installed, not {airflow}"


def files(checkout: Path, names: list[str]) -> Iterator[str]:
    """Every file is installed as it is in the checkout."""
    for name in names:
        installed = Path(str(OURS.locate_file(name)))
        if not installed.is_file():
            yield f"{name} is not installed"
        elif installed.read_bytes() != (checkout / name).read_bytes():
            yield f"{name} is installed with other contents"


def modules() -> Iterator[str]:
    """Every module and entry point is imported from this environment, except for what an extra must bring."""
    package = import_module("toloka_airflow")
    if not Path(str(package.__file__)).is_relative_to(sys.prefix):
        yield f"toloka_airflow is imported from {package.__file__}"
    for module in pkgutil.walk_packages(package.__path__, "toloka_airflow."):
        if not module.name.endswith(".__main__"):
            yield from importing(module.name, partial(import_module, module.name))
    for entry in OURS.entry_points:
        yield from importing(entry.name, entry.load)


def importing(what: str, load: Callable[[], object]) -> Iterator[str]:
    """Import something."""
    try:
        load()
    except ImportError as exc:
        # Some of ours say how to install what is missing, instead of what Python says.
        missing = exc.__cause__ if isinstance(exc.__cause__, ImportError) else exc
        if missing.name not in OPTIONAL:
            yield f"{what} is not imported: {exc}"


def found_by_airflow() -> Iterator[str]:
    """Airflow lists the provider, its connection type, and the plugin in this version."""
    hooks = {(hook["package_name"], hook["connection_type"]) for hook in listed("providers", "hooks")}
    if ("airflow-toloka", "toloka") not in hooks:
        yield f"Airflow does not know the connection type of the provider: {sorted(hooks)}"
    sources = [plugin["source"] for plugin in listed("plugins")]
    if not any(source.startswith(f"airflow-toloka=={OURS.version}:") for source in sources):
        yield f"Airflow does not load the plugin: {sources}"


def listed(*command: str) -> list[dict[str, str]]:
    """Return what a command of Airflow lists; it may log before. Starting it costs more than all else here."""
    sys.argv = ["airflow", *command, "--output", "json"]
    with redirect_stdout(StringIO()) as printed:
        import_module("airflow.__main__").main()
    found: list[dict[str, str]] = json.loads(printed.getvalue().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
