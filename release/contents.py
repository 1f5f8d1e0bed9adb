"""What a wheel and an sdist hold, beside what the checkout has of the package."""

from __future__ import annotations

import email
import subprocess
import tarfile
import zipfile
from email.message import Message
from pathlib import Path


def package_files(root: Path) -> set[str]:
    """Return the files of the package in a checkout that Git does not ignore."""
    return checkout_files(root, "toloka_airflow", "airflow_toloka.py")


def checkout_files(root: Path, *under: str) -> set[str]:
    """Return the files of a checkout, or of parts of it, that Git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *under]
    listed = subprocess.run(command, cwd=root, check=True, text=True, stdout=subprocess.PIPE).stdout  # noqa: S603
    return {name for name in listed.split("\0") if name and (root / name).is_file()}


def names_in(distribution: Path) -> set[str]:
    """
    Return the files in a wheel or an sdist that belong to the package or to nothing that is known.

    Without the metadata; of an sdist also without what it is built from, which is in its root.
    """
    if distribution.suffix == ".whl":
        with zipfile.ZipFile(distribution) as wheel:
            names = {name for name in wheel.namelist() if not name.endswith("/")}
        return {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    with tarfile.open(distribution) as sdist:
        names = {member.name.split("/", 1)[1] for member in sdist.getmembers() if member.isfile()}
    built_from = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}
    return {name for name in names if not name.split("/")[0].endswith(".egg-info")} - built_from


def metadata(wheel: Path) -> Message:
    """Return the metadata of a wheel, as in https://packaging.python.org/en/latest/specifications/core-metadata/."""
    with zipfile.ZipFile(wheel) as opened:
        [name] = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(opened.read(name))


def differences(wanted: set[str], held: set[str]) -> list[str]:
    """Say which files are missing, and which should not be there."""
    return [f"{name} is missing" for name in sorted(wanted - held)] + [
        f"{name} should not be in it" for name in sorted(held - wanted)
    ]
