"""The wheel that users install brings everything, and Airflow finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **env: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], env={**clean, **env}, cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"toloka_airflow", "airflow_toloka.py"}
    for needed in (
        "py.typed",
        "emulator/server.py",
        "api/client/__init__.py",
        "checks/schemas.json",
        "quality/report/style.css",
        "quality/report/template.html",
        "web/static/page.html",
        "web/static/page.css",
        "web/static/page.js",
    ):
        assert f"toloka_airflow/{needed}" in names
    assert any(name.endswith("LICENSE") for name in names)


@pytest.mark.long
def test_an_empty_environment_gets_a_provider_that_airflow_lists(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    airflow = version("apache-airflow").rsplit(".", 1)[0]
    constraints = ROOT / "constraints" / f"airflow-{airflow}.txt"
    uv = Path(sys.executable).parent / "uv"
    run(uv, "pip", "install", "--system-certs", "--python", python, "-c", constraints, f"{wheel}[emulator]")

    home = {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    airflow_command = tmp_path / "env" / "bin" / "airflow"
    providers = json.loads(run(airflow_command, "providers", "list", "--output", "json", **home).splitlines()[-1])
    [ours] = [provider for provider in providers if provider["package_name"] == "airflow-toloka"]
    assert ours["version"] == version("airflow-toloka")
    hooks = json.loads(run(airflow_command, "providers", "hooks", "--output", "json", **home).splitlines()[-1])
    assert "toloka_airflow.hooks.TolokaHook" in {hook["class"] for hook in hooks}
    plugins = "from importlib.metadata import entry_points; print(*entry_points(group='pytest11').names)"
    assert "toloka" in run(python, "-c", plugins).split()
    assert "--speed" in run(tmp_path / "env" / "bin" / "toloka-emulator", "--help")
