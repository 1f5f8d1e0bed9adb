"""The command `toloka-emulator`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CROWD = CrowdSettings()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; print one line as soon as requests are accepted."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        server = _server(options)
    except (OSError, ValueError, RecursionError) as exc:
        parser.error(str(exc))
    with _signals() as leave:
        try:
            server.start()
        except OSError as exc:
            print(f"toloka-emulator: cannot listen at {options.host}:{options.port}: {exc}", file=sys.stderr)
            return 1
        print(f"Toloka emulator ready at {server.url}", flush=True)
        leave.wait()
        server.stop()
    return 0


@contextmanager
def _signals() -> Iterator[threading.Event]:
    leave = threading.Event()
    before = {number: signal.signal(number, lambda *_: leave.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield leave
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _server(options: argparse.Namespace) -> EmulatorServer:
    crowd = CrowdSettings(
        size=options.crowd_size,
        accuracy=tuple(options.accuracy),
        seconds_per_task=tuple(options.seconds_per_task),
        skip_rate=options.skip_rate,
        expire_rate=options.expire_rate,
        active_hours=tuple(options.active_hours),
        careless_people=options.careless_people,
        fast_people=options.fast_people,
        skipping_people=options.skipping_people,
    )
    server = EmulatorServer(
        host=options.host,
        port=options.port,
        seed=options.seed,
        speed=options.speed,
        frozen=options.frozen,
        start=options.start,
        crowd=crowd,
        balance=options.balance,
        quotas=options.quotas,
        seed_file=options.seed_file,
        allow_remote=options.allow_remote,
        allow_hosts=options.allow_host,
    )
    if options.snapshot:
        server.restore(json.loads(Path(options.snapshot).read_text()))
    return server


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Say the default of what has a value; that a flag is not set by default goes without saying."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return (
            super()._get_help_string(action) if action.nargs != 0 and action.default not in (None, []) else action.help
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toloka-emulator",
        description="A local emulator of the Toloka requester API. Stop it with Ctrl+C.",
        formatter_class=_Formatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at; other than loopback with --allow-remote only")
    add(
        "--allow-remote",
        action="store_true",
        help="let everybody who reaches --host read, change and steer everything: there is no password",
    )
    add("--allow-host", action="append", default=[], metavar="NAME", help="name under which clients reach the emulator")
    add("--port", type=_port, default=0, help="port to listen at; 0 takes a free one")
    add("--seed", type=int, default=0, help="the same seed gives the same people, answers and ids")
    add("--speed", type=float, default=1.0, help="virtual seconds per real second")
    add("--frozen", action="store_true", help="let virtual time stand still until it is advanced")
    add("--start", metavar="DATE", help="virtual time to begin at, YYYY-MM-DDThh:mm:ss; default: now")
    add("--balance", type=_money, default=1000.0, help="money on the requester's account")
    add("--seed-file", metavar="FILE", help="JSON file with projects, pools, tasks, ... to begin with")
    add("--snapshot", metavar="FILE", help="JSON file with a snapshot to go on from")
    add("--no-quotas", dest="quotas", action="store_false", help="answer any number of calls, never 429")
    _add_crowd(parser)
    return parser


def _add_crowd(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    pair = partial(parser.add_argument, type=float, nargs=2, metavar=("LOW", "HIGH"))
    add("--crowd-size", type=int, default=CROWD.size, help="number of simulated Tolokers")
    pair("--accuracy", default=CROWD.accuracy, help="share of right answers of a person")
    pair("--seconds-per-task", default=CROWD.seconds_per_task, help="pace of a person")
    add("--skip-rate", type=float, default=CROWD.skip_rate, help="share of suites that are skipped")
    add("--expire-rate", type=float, default=CROWD.expire_rate, help="share of suites that are forgotten")
    pair("--active-hours", default=CROWD.active_hours, help="hours of the day (UTC) between which people take suites")
    add("--careless-people", type=float, default=CROWD.careless_people, help="share of people who answer carelessly")
    add("--fast-people", type=float, default=CROWD.fast_people, help="share of people who answer too fast")
    add("--skipping-people", type=float, default=CROWD.skipping_people, help="share of people who skip most suites")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"must be between 0 and 65535, not {text}")
    return port


def _money(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return amount


if __name__ == "__main__":
    sys.exit(main())
