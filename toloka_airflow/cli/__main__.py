"""
``airflow-toloka``: what one does before and beside DAGs, from a shell.

Each command is a module of its own, which is imported when it is used: `add_arguments`, `run`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from toloka_airflow import __version__

COMMANDS = {
    "check": "find the mistakes in configurations and files of tasks",
    "doctor": "find what is wrong with an Airflow and its Toloka accounts",
    "estimate": "estimate what a pool will cost, and rehearse it",
}
"""The commands, each in the module of its name, and what they do."""
EPILOG = """\
`airflow-toloka COMMAND --help` explains a command. Each ends with 0 if all is well, with 1 if it is not, and with 2 if
that could not be found out.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 if all is well, 1 if not, 2 if it could not be tried."""
    given = list(sys.argv[1:] if argv is None else argv)
    name = given[0] if given else ""
    parser = _parser(name)
    if not given:
        parser.print_help(sys.stderr)
        return 2
    if not name.startswith("-") and name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        parser.error(f"there is no command {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
    arguments = parser.parse_args(given)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read it has seen enough; the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:
        # Not 1, by which the interpreter ends: nobody has found a mistake.
        traceback.print_exc()
        return 2


def _parser(name: str) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of one command."""
    parser = argparse.ArgumentParser(
        prog="airflow-toloka",
        description="Toloka for Apache Airflow: what one does before and beside DAGs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_versions())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for command, summary in COMMANDS.items():
        added = commands.add_parser(command, help=summary, description=summary)
        if command == name:
            module = import_module(f"toloka_airflow.cli.{command}")
            module.add_arguments(added)
            added.set_defaults(run=module.run)
    return parser


def _versions() -> str:
    try:
        airflow = version("apache-airflow-core")
    except PackageNotFoundError:
        airflow = "is missing"
    return f"airflow-toloka {__version__} (Airflow {airflow}, Python {platform.python_version()})"


if __name__ == "__main__":
    sys.exit(main())
