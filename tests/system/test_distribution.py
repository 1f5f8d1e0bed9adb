"""The wheel that users install brings everything, and Airflow finds it."""

from __future__ import annotations

import re
import shutil
import sys
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import pytest

from release.contents import checkout_files, differences, metadata, names_in, package_files
from release.lanes import Lane, find_lanes, read_lane
from release.steps import FailedError, run

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, beside the sdist that it is built from; of a copy, as building writes into the checkout."""
    checkout, dist = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in checkout_files(ROOT):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    run(sys.executable, "-m", "build", "--outdir", dist, checkout)
    [built] = dist.glob("*.whl")
    return built


@pytest.fixture
def lane() -> Lane:
    """The Airflow that the tests run with."""
    airflow = version("apache-airflow")
    return read_lane(ROOT / "constraints" / f"airflow-{airflow.rsplit('.', 1)[0]}.txt")


def test_both_hold_the_package_and_nothing_else(wheel: Path) -> None:
    [sdist] = wheel.parent.glob("*.tar.gz")
    wanted = package_files(ROOT)
    assert {"airflow_toloka.py", "toloka_airflow/py.typed", "toloka_airflow/quality/report/style.css"} <= wanted
    assert differences(wanted, names_in(wheel)) == []
    assert differences(wanted, names_in(sdist)) == []
    assert metadata(wheel)["License-File"] == "LICENSE"


def test_the_description_has_links_that_lead_somewhere(wheel: Path) -> None:
    text = str(metadata(wheel).get_payload())
    assert "](https://airflow-toloka.readthedocs.io/en/stable/start.html)" in text
    assert re.findall(r"\]\((?!https?://)[^)]*\)", text) == []


def test_a_file_too_few_or_too_many_is_named() -> None:
    assert differences({"a.py", "b.css"}, {"a.py", "c.py"}) == ["b.css is missing", "c.py should not be in it"]


def test_the_metadata_say_what_the_page_of_versions_does(wheel: Path) -> None:
    """And what the constraints are for: no Airflow is promised that nothing is tried with."""
    said = metadata(wheel)
    page = " ".join((ROOT / "docs" / "versions.md").read_text().partition("## Supported")[2].split())
    [(first, oldest, others, pythons)] = re.findall(
        r"^Airflow ([\d.]+) \(from ([\d.]+)\), ([\d., and]+), with Python ([\d., and]+)\. ", page
    )
    assert f"apache-airflow>={oldest}" in said.get_all("Requires-Dist", [])
    classifiers = [f"Programming Language :: Python :: {minor}" for minor in re.findall(r"3\.\d+", pythons)]
    assert [each for each in said.get_all("Classifier", []) if ":: Python :: 3." in each] == classifiers
    lanes = [path.stem for path in sorted((ROOT / "constraints").glob("airflow-*.txt"))]
    assert lanes == [f"airflow-{minor}" for minor in (first, *re.findall(r"3\.\d+", others))]


def test_a_python_that_is_not_promised_makes_no_release() -> None:
    ours = Message()
    ours["Classifier"] = "Programming Language :: Python :: 3.9"
    with pytest.raises(FailedError, match=r"is not among the classifiers in setup\.cfg"):
        find_lanes(ours, ROOT / "constraints")


@pytest.mark.long
def test_an_empty_environment_gets_a_provider_that_airflow_lists(wheel: Path, lane: Lane, tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    run(BIN / "uv", "venv", "--python", sys.executable, tmp_path / "env")
    run(BIN / "uv", "pip", "install", "--system-certs", "--python", python, "-c", lane.constraints, wheel)
    check = (python, "-I", ROOT / "release" / "installed.py", lane.airflow, ROOT)
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    run(*check, *sorted(package_files(ROOT)), cwd=tmp_path, **home)
    assert "--speed" in run(tmp_path / "env" / "bin" / "toloka-emulator", "--help")

    with pytest.raises(FailedError, match=r"made_up\.css is not installed"):
        run(*check, "toloka_airflow/made_up.css", cwd=tmp_path, **home)
    with pytest.raises(FailedError, match=re.escape(f"Airflow {lane.airflow} is installed, not 2.0.0")):
        run(*check[:3], "2.0.0", ROOT, "airflow_toloka.py", cwd=tmp_path, **home)
