"""
``airflow-toloka``: what one does before and beside DAGs, from a shell.

Each command is a module of its own, which is imported when it is used: `SUMMARY`, `add_arguments`, `run`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "check": "find the mistakes in configurations and files of tasks",
    "doctor": "find what is wrong with an Airflow and its Toloka accounts",
}
"""The commands, each in the module of its name, and what they do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 if all is well, 1 if not, 2 if it could not be tried."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="airflow-toloka", description="Toloka for Apache Airflow, from a shell.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if given[:1] == [name]:
            module = import_module(f"toloka_airflow.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    arguments = parser.parse_args(given)
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
