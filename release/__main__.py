"""
``make release``: the distributions, as they would be published; nothing is published.

It builds wheel and sdist into ``dist/``, checks their metadata and contents, installs each into an empty environment of
every Airflow in ``constraints/``, has Airflow list the provider there, runs the demo from the wheel, and writes
``dist/SHA256SUMS`` last: a folder without it is not a release.

It needs the index of packages. Exit code 0: all of that held; 1: something did not, and the last lines say what.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
CHECK = """
import importlib.metadata, json, sys
import toloka_airflow
from toloka_airflow.operators.lifecycle import OpenPoolOperator
assert toloka_airflow.__file__.startswith(sys.prefix), toloka_airflow.__file__
print(json.dumps(importlib.metadata.version("airflow-toloka")))
"""


def main() -> int:
    """Make the release, or say why there is none."""
    shutil.rmtree(DIST, ignore_errors=True)
    try:
        run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
        wheel, sdist = only("*.whl"), only("*.tar.gz")
        run(BIN / "twine", "check", "--strict", wheel, sdist)
        run(BIN / "check-wheel-contents", wheel)
        lanes = [path.stem.removeprefix("airflow-") for path in sorted((ROOT / "constraints").glob("airflow-*.txt"))]
        for lane in lanes:
            for distribution in (wheel, sdist):
                try_installed(lane, distribution)
        show_demo(lanes[-1], wheel)
    except subprocess.CalledProcessError as exc:
        print(f"No release: {' '.join(map(str, exc.cmd))} ended with {exc.returncode}", file=sys.stderr)
        return 1
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (wheel, sdist))
    (DIST / "SHA256SUMS").write_text("".join(sums))
    print(f"Ready to be published: {DIST}")
    return 0


def only(pattern: str) -> Path:
    """Return the one file that was built."""
    [path] = DIST.glob(pattern)
    return path


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> None:
    """Run a command, shown, in an environment that no Airflow and no Python is configured in."""
    print(f"$ {' '.join(map(str, command))}", flush=True)
    subprocess.run(list(map(str, command)), cwd=cwd, env=clean(env), check=True)  # noqa: S603


def read(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command, and return the last line that it prints."""
    done = subprocess.run(  # noqa: S603
        list(map(str, command)), cwd=cwd, env=clean(env), check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout.splitlines()[-1]


def clean(env: dict[str, str]) -> dict[str, str]:
    """Return our environment without what configures an Airflow or a Python, and with more of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))} | env


def install(folder: Path, lane: str, distribution: Path, extra: str) -> Path:
    """Install a distribution into an empty environment, and return the folder of its commands."""
    run(sys.executable, "-m", "venv", folder / "env")
    python = folder / "env" / "bin" / "python"
    constraints = ROOT / "constraints" / f"airflow-{lane}.txt"
    wanted = f"{distribution}[{extra}]"
    run(BIN / "uv", "pip", "install", "--quiet", "--system-certs", "--python", python, "-c", constraints, wanted)
    return python.parent


def try_installed(lane: str, distribution: Path) -> None:
    """Check that an Airflow finds the provider that was installed; not in the checkout, which has a copy of it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        commands = install(folder, lane, distribution, "emulator")
        home = {"AIRFLOW_HOME": str(folder / "airflow")}
        version = json.loads(read(commands / "python", "-c", CHECK, cwd=folder, **home))
        listed = read(commands / "airflow", "providers", "list", "--output", "json", cwd=folder, **home)
        assert {"airflow-toloka": version}.items() <= {  # noqa: S101
            each["package_name"]: each["version"] for each in json.loads(listed)
        }.items(), f"Airflow {lane} does not list airflow-toloka {version}: {listed}"
        run(commands / "toloka-emulator", "--help", cwd=folder)
        print(f"== {distribution.name} is found by Airflow {lane}", flush=True)


def show_demo(lane: str, wheel: Path) -> None:
    """Run the demo beside the wheel: what it imports of the package is what was installed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        commands = install(folder, lane, wheel, "demo")
        for part in ("demo", "dags_examples"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        run(commands / "python", "-c", CHECK, cwd=folder)
        run(commands / "python", "-m", "demo", cwd=folder, DEMO_EXIT="1")


if __name__ == "__main__":
    sys.exit(main())
