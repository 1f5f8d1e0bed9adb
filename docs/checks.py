"""Write the tables of rules in docs/checks.md anew from the code; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from toloka_airflow.checks.rule_names import ERRORS, WARNINGS

PAGE = Path(__file__).with_name("checks.md")
TABLES = {"warnings": WARNINGS, "errors": ERRORS}


def markers(name: str) -> tuple[str, str]:
    """Return the lines before and after a table."""
    return f"<!-- {name}: begin (written by docs/checks.py, run by make docs) -->\n", f"<!-- {name}: end -->"


def table(name: str) -> str:
    """Return the text between the markers."""
    rows = sorted(TABLES[name].items()) if name == "warnings" else TABLES[name].items()
    return "".join(
        ["| Name | What it is about |\n| --- | --- |\n", *(f"| `{rule}` | {about} |\n" for rule, about in rows)]
    )


def updated(page: str) -> str:
    """Return the page with the tables as they should be."""
    for name in TABLES:
        begin, end = markers(name)
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE.name} has lost the markers of its {name}")
        page = f"{before}{begin}{table(name)}{end}{after}"
    return page


def main() -> int:
    """Write the page, or say whether it is up to date."""
    page = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(updated(page))
    elif page != updated(page):
        print("docs/checks.md is not up to date: run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
