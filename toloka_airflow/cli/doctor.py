"""``airflow-toloka doctor``: whether this Airflow and its Toloka accounts are in order."""

from __future__ import annotations

import argparse
import io
import json
import sys
import textwrap
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from toloka_airflow.doctor import Finding, Options

WIDTH = 120
_CHECK_WIDTH = 20
_COLOURS = {"ok": "32", "warn": "33", "fail": "31", "unknown": "35"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Find what is wrong with this Airflow and its Toloka accounts, and say what to do. It only reads: run it where "
        "Airflow's own commands work, with the environment of the deployment."
    )
    parser.epilog = "Exit code: 0 all is well, 1 something failed, 2 something could not be tried."
    parser.add_argument(
        "--conn-id",
        action="append",
        default=[],
        metavar="ID",
        help="a connection to try, may be given several times; by default all of type toloka that Airflow lists",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--strict", action="store_true", help="let warnings count as failures")
    parser.add_argument(
        "--timeout", type=_positive, default=20.0, metavar="SECONDS", help="for each probe, 20 by default"
    )
    parser.add_argument(
        "--min-balance",
        type=_money,
        default=Decimal(10),
        metavar="MONEY",
        help="what should be on each account, 10 by default",
    )
    parser.add_argument(
        "--max-days",
        type=_positive,
        default=30.0,
        metavar="DAYS",
        help="how far away the expiry of an open pool may be, 30 by default",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write what the probes find, and return 0 if all is well, 1 if not, 2 if it could not be tried."""
    out = sys.stdout
    # What Airflow logs while it is imported and asked, tracebacks too, may quote what is secret, and is no JSON.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            findings = _diagnose(arguments, out)
        except BrokenPipeError:
            raise
        except Exception as exc:
            # Its text may quote the address of the database with the password.
            what = f"Airflow cannot be used here: {type(exc).__name__}. `airflow db check` says more"
            report = {"status": "unknown", "exit_code": 2, "checks": [], "error": what}
            print(json.dumps(report, indent=2) if arguments.json else what, file=out)
            return 2
    from toloka_airflow.doctor.findings import exit_code

    code = exit_code(findings, strict=arguments.strict)
    if arguments.json:
        status = {0: "ok", 1: "fail", 2: "unknown"}[code]
        checks = [finding.as_json() for finding in findings]
        print(json.dumps({"status": status, "exit_code": code, "checks": checks}, indent=2), file=out)
    else:
        print(_summary(findings), file=out)
    return code


def _diagnose(arguments: argparse.Namespace, out: TextIO) -> list[Finding]:
    """Return all findings; without --json, they are written as they are found."""
    from toloka_airflow.doctor import diagnose

    findings = []
    for finding in diagnose(_options(arguments)):
        findings.append(finding)
        if not arguments.json:
            print(_lines(finding, in_colour=out.isatty()), file=out, flush=True)
    return findings


def _options(arguments: argparse.Namespace) -> Options:
    from toloka_airflow.doctor import Options

    return Options(
        conn_ids=tuple(dict.fromkeys(arguments.conn_id)),
        timeout=arguments.timeout,
        min_balance=arguments.min_balance,
        max_open=timedelta(days=arguments.max_days),
    )


def _lines(finding: Finding, *, in_colour: bool) -> str:
    status = f"{finding.status.value:<8}"
    if in_colour:
        status = f"\x1b[{_COLOURS[finding.status.value]}m{status}\x1b[0m"
    indent = " " * (8 + _CHECK_WIDTH)
    of = f"{finding.conn_id}: " if finding.conn_id else ""
    width = WIDTH - len(indent)
    lines = _wrapped(f"{of}{finding.message}", width) + _wrapped(finding.remedy, width, "-> ")
    lines += [f"   {finding.help}"] if finding.help else []
    return f"{status}{finding.check:<{_CHECK_WIDTH}}" + f"\n{indent}".join(lines)


def _wrapped(text: str, width: int, before: str = "") -> list[str]:
    after = " " * len(before)
    return textwrap.wrap(text, width, initial_indent=before, subsequent_indent=after, break_long_words=False)


def _summary(findings: Iterable[Finding]) -> str:
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.status.value] = counts.get(finding.status.value, 0) + 1
    return ", ".join(f"{counts[status]} {status}" for status in _COLOURS if status in counts)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a positive number")
    return value


def _money(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text} is no amount of money") from None
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text} must be 0 or more")
    return value
