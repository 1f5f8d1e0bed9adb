"""
``make release``: the distributions, as they would be published; nothing is published.

It builds wheel and sdist of the commit that is checked out into ``dist/``, checks their metadata and that they hold
every file of the package, installs each into an empty environment of every Airflow in ``constraints/`` that is made
for this Python, has `release.installed` check what is installed there, runs the demo from the wheel on the newest, and
writes ``dist/SHA256SUMS`` last: a folder without it is not a release.

It needs the index of packages. Exit code 0: all of that held; 1: something did not, and the last lines say what.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.contents import differences, metadata, names_in, package_files
from release.lanes import Lane, find_lanes
from release.steps import FailedError, run, step

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent


def main() -> int:
    """Make the release, or say why there is none."""
    shutil.rmtree(DIST, ignore_errors=True)
    try:
        commit = the_commit()
        wheel, sdist = build()
        lanes = find_lanes(metadata(wheel), ROOT / "constraints")
        for lane in lanes:
            try_installed(lane, sdist)
            try_installed(lane, wheel, demo=lane is lanes[-1])
    except FailedError as exc:
        print(f"\nNo release: {exc}", file=sys.stderr)
        return 1
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (wheel, sdist))
    (DIST / "SHA256SUMS").write_text("".join(sums))
    print(f"\nMade of commit {commit}, tried on Python {platform.python_version()} with {', '.join(map(str, lanes))}:")
    for path in (wheel, sdist, DIST / "SHA256SUMS"):
        print(f"  {path.relative_to(ROOT)}, {path.stat().st_size:,} bytes")
    return 0


def the_commit() -> str:
    """Return the commit that is released, which must be all that there is."""
    with step("everything is committed"):
        if changed := run("git", "status", "--porcelain"):
            raise FailedError(f"commit these files, or remove them:\n{changed}")
        return run("git", "rev-parse", "HEAD").strip()


def build() -> tuple[Path, Path]:
    """Build wheel and sdist, and check what can be checked without installing them."""
    with step("build"):
        run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
        [wheel], [sdist] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with step("twine check --strict"):
        run(BIN / "twine", "check", "--strict", wheel, sdist)
    with step("check-wheel-contents"):
        run(BIN / "check-wheel-contents", wheel)
    with step("they hold the files of the package, and nothing else of the checkout"):
        for distribution in (wheel, sdist):
            if wrong := differences(package_files(ROOT), names_in(distribution)):
                raise FailedError(f"{distribution.name}: {'; '.join(wrong)}")
    return wheel, sdist


def try_installed(lane: Lane, distribution: Path, *, demo: bool = False) -> None:
    """Install a distribution into an empty environment, and use it there: beside the checkout, not in it."""
    extras = "[demo]" if demo else ""
    kind = "wheel" if distribution.suffix == ".whl" else "sdist"
    with TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "env" / "bin" / "python"
        with step(f"{lane}: install {kind}{extras}"):
            run(BIN / "uv", "venv", "--python", sys.executable, folder / "env")
            install = (BIN / "uv", "pip", "install", "--system-certs", "--python", python)
            run(*install, "-c", lane.constraints, f"{distribution}{extras}")
        with step(f"{lane}: the {kind} is whole, and Airflow finds it"):
            home = {"AIRFLOW_HOME": str(folder / "airflow")}
            check = (python, "-I", ROOT / "release" / "installed.py", lane.airflow, ROOT)
            run(*check, *sorted(package_files(ROOT)), cwd=folder, **home)
        if demo:
            with step(f"{lane}: the demo runs"):
                for part in ("demo", "dags_examples"):
                    shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
                run(python, "-m", "demo", cwd=folder, DEMO_EXIT="1")


if __name__ == "__main__":
    sys.exit(main())
