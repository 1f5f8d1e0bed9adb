"""The Airflows that a release is tried on."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from release.contents import metadata
from release.steps import FailedError, run, step


@dataclass(frozen=True)
class Lane:
    """A version of Airflow, and the file with the versions of all that is installed with it."""

    airflow: str
    constraints: Path

    def __str__(self) -> str:
        return f"Airflow {self.airflow}"


def find_lanes(ours: Message, folder: Path) -> list[Lane]:
    """
    Return the Airflows in a folder of constraints that are made for this Python, oldest first; name the others.

    What decides is what the distributions themselves say: the classifiers of ours, and ``Requires-Python`` of Airflow.
    Raises `FailedError` if this Python is none of ours, or none of theirs.
    """
    minor = "{}.{}".format(*platform.python_version_tuple())
    with step(f"which Airflow is for Python {minor}"):
        if f"Programming Language :: Python :: {minor}" not in ours.get_all("Classifier", []):
            raise FailedError(f"Python {minor} is not among the classifiers in setup.cfg")
        found = sorted(map(read_lane, folder.glob("airflow-*.txt")), key=lambda lane: Version(lane.airflow))
        asked = {lane: requires_python(lane) for lane in found}
        lanes = [lane for lane, required in asked.items() if platform.python_version() in SpecifierSet(required)]
        if not lanes:
            raise FailedError(f"no Airflow in {folder} is for Python {minor}")
    for lane, required in asked.items():
        if lane not in lanes:
            print(f"{lane} is left out: it is for Python {required}")
    return lanes


def read_lane(constraints: Path) -> Lane:
    """Return the Airflow that a file of constraints is for."""
    [airflow] = re.findall(r"^apache-airflow==(\S+)", constraints.read_text(), re.MULTILINE)
    return Lane(airflow, constraints)


def requires_python(lane: Lane) -> str:
    """Ask the index which Pythons a version of Airflow is for."""
    with TemporaryDirectory() as name:
        download = (sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python")
        run(*download, "--only-binary=:all:", "--dest", name, f"apache-airflow=={lane.airflow}")
        [wheel] = Path(name).glob("*.whl")
        return str(metadata(wheel)["Requires-Python"])
