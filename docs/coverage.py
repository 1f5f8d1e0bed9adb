"""Write the table of calls in docs/emulator.md anew from the emulator's code; ``--check`` only compares."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from docs.made_parts import write_or_check
from toloka_airflow.emulator.resources.routes import HANDLERS, STAGING_HANDLERS

PAGE = Path(__file__).with_name("emulator.md")
ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")


def calls() -> list[tuple[str, str]]:
    """Return each emulated call, method and path below /api/v1."""
    return sorted(HANDLERS, key=lambda call: (call[1], ORDER.index(call[0])))


def table() -> str:
    """Return what is emulated."""
    by_resource: defaultdict[str, list[str]] = defaultdict(list)
    for method, path in calls():
        by_resource[path.split("/")[1]].append(f"{method} {path}")
    lines = [f"All {len(calls())} documented calls are emulated.", "", "| Resource | Call |", "| --- | --- |"]
    for resource, rows in by_resource.items():
        for i, call in enumerate(rows):
            lines.append(f"| {resource.replace('-', ' ') if i == 0 else ''} | `{call}` |")
    others = ", ".join(f"`{method} {path}`" for method, path in STAGING_HANDLERS)
    return "\n".join([*lines, "", f"Emulated as well, because the official Python client uses it: {others}.", ""])


PARTS = {"coverage": table()}

if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, PARTS))
