"""Write the tables of rules in docs/checks.md anew from the code; ``--check`` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from docs.made_parts import write_or_check
from toloka_airflow.checks.rule_names import ERRORS, WARNINGS

PAGE = Path(__file__).with_name("checks.md")


def table(rules: Iterable[tuple[str, str]]) -> str:
    """Return a table of rules and what they are about."""
    rows = (f"| `{rule}` | {about} |\n" for rule, about in rules)
    return "".join(["| Name | What it is about |\n| --- | --- |\n", *rows])


PARTS = {"warnings": table(sorted(WARNINGS.items())), "errors": table(ERRORS.items())}

if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, PARTS))
