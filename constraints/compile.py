"""
Write the versions that each lane installs: the newest that fit together.

Arguments name the lanes that are written; without any, all are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANES = {
    "3.1": ["apache-airflow>=3.1,<3.2", "sqlalchemy<2.1"],  # Airflow 3.1 was released before SQLAlchemy 2.1
    # Its API server does not start with newer ones of the first two, nor `dag.test()` with one of the last.
    "3.2": ["apache-airflow>=3.2,<3.3", "cadwyn<8", "fastapi<0.137", "svcs<26"],
    "3.3": ["apache-airflow>=3.3,<3.4"],
}


def main(*lanes: str) -> None:
    """Resolve lanes for all Python versions at once."""
    for lane in lanes or LANES:
        target = ROOT / "constraints" / f"airflow-{lane}.txt"
        print(f"Resolving {target.name} ...", flush=True)
        uv = [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "compile",
            "--quiet",
            "--system-certs",
            "--upgrade",
            "--no-annotate",
        ]
        options = ["--universal", "--python-version=3.11", "--extra=dev", "--no-emit-package=airflow-toloka"]
        output = ["--custom-compile-command=make constraints", f"--output-file={target}"]
        wanted = "\n".join([*LANES[lane], "uv"])
        command = [*uv, *options, *output, "setup.cfg", "-"]
        subprocess.run(command, cwd=ROOT, input=wanted, text=True, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
