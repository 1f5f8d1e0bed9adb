"""The files that commands about configurations take: one of each kind, in any order or named."""

from __future__ import annotations

import argparse
from typing import Any

KINDS = ("project", "pool", "training", "tasks")


def add_files(
    parser: argparse.ArgumentParser, *, description: str, epilog: str, files_help: str, when_named: str
) -> None:
    """
    Add what such a command takes first, and what its help says before and after.

    :param description: As it is to be shown, with the ends of its lines; so is the epilog.
    :param files_help: What files may be given without a name.
    :param when_named: When a kind is to be named, after "the pool".
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = description, epilog
    parser.add_argument("files", nargs="*", metavar="FILE", help=files_help)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", metavar="FILE", help=f"the {kind}, {when_named}")


def named_files(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the files whose kind the command line names, by it."""
    return {kind: file for kind in KINDS if (file := getattr(arguments, kind))}
