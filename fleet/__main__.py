"""
A fleet on this machine: Airflow with CeleryExecutor, PostgreSQL, Redis, two schedulers, triggerers and workers.

Everything listens on loopback only. Every process is started again when it ends, until ``down``.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fleet.lane import HOME, Lane, supervisor, take_down
from fleet.packages import MissingError, ensure_packages
from fleet.settings import FILE, ROOT, Fleet, Options, run_by_root

EXAMPLES = ["label_digits.py", "label_with_training.py", "pool_lifecycle.py"]
"""The example DAGs without a schedule."""


class UpError(RuntimeError):
    """A fleet cannot be brought up; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    home: Path = arguments.home.absolute()
    try:
        match arguments.command:
            case "up":
                bring_up(home, _options(arguments, home))
            case "down":
                said = "The fleet is gone" if take_down(home, arguments.keep) else "There is no fleet"
                print(f"{said}: {home}")
            case "status":
                print(status(Lane(home)))
            case "psql":
                print(Lane(home).psql(arguments.sql))
    except (UpError, MissingError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except FileNotFoundError as exc:
        print(f"There is no fleet in {home} ({exc}). Begin one by: make fleet", file=sys.stderr)
        return 1
    return 0


def bring_up(home: Path, options: Options) -> None:
    """
    Start a fleet in the background and return when it is up; print how far it is.

    Raises `UpError` if one runs there, and if it does not come up; its logs are left then.
    """
    if supervisor(home):
        raise UpError(f"A fleet runs in {home} already.\n{addresses(Lane(home))}")
    if home.exists() and not (home / FILE).exists():
        raise UpError(f"{home} exists and is not the home of a fleet. Choose another one by --home.")
    ensure_packages()
    if take_down(home):
        print(f"Removed what an earlier fleet had left in {home}", flush=True)
    product = Path(options.product)
    describe(product)
    fleet = _set_up(home, options)
    print(f"Bringing up a fleet in {home}, which takes a minute or two ...", flush=True)
    log = fleet.log / "supervisor.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet.supervisor", str(home)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (fleet.pid / "supervisor").write_text(str(process.pid))
    try:
        _follow(process, home, log)
    except KeyboardInterrupt:
        take_down(home)
        raise UpError("Ended, and removed what there was of it.") from None
    print(addresses(Lane(home)))


def _follow(process: subprocess.Popen[bytes], home: Path, log: Path) -> None:
    with log.open() as lines:
        while True:
            ended = process.poll() is not None
            print(lines.read(), end="", flush=True)
            if ended:
                raise UpError(f"The fleet did not come up. Logs: {log.parent}; remove them by: {_down(home)}")
            if (home / "ready").exists():
                return
            time.sleep(0.2)


def _set_up(home: Path, options: Options) -> Fleet:
    home.mkdir(parents=True)
    user = "postgres" if run_by_root() else None
    # The way to our home may be closed to another user.
    postgres = Path(tempfile.mkdtemp(prefix="fleet-postgres-")) if user else home / "postgres"
    postgres.mkdir(mode=0o700, exist_ok=True)
    if user:
        owner = pwd.getpwnam(user)
        os.chown(postgres, owner.pw_uid, owner.pw_gid)
    fleet = Fleet.new(home, postgres, user, options)
    fleet.write()
    for folder in (fleet.log, fleet.pid, fleet.files):
        folder.mkdir()
    if options.dags == str(home / "dags"):
        shutil.copytree(ROOT / "fleet" / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        for name in EXAMPLES:
            shutil.copy(ROOT / "dags_examples" / name, home / "dags")
        shutil.copytree(ROOT / "dags_examples" / "reviews", home / "dags" / "reviews")
    return fleet


def describe(product: Path) -> None:
    """Write the metadata by which Airflow finds the plugin in a checkout; it is not installed, so it can be any."""
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "--quiet", "egg_info"]
    done = subprocess.run(command, cwd=product, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UpError(f"{product} is no checkout of the product: {done.stderr[-1000:]}")


def addresses(lane: Lane) -> str:
    """Where everything is, and how to end it."""
    rows = {
        "Airflow": lane.settings.url("api-server"),
        "Toloka": f"{lane.toloka_url}  (the connection toloka_default)",
        "PostgreSQL": f"127.0.0.1:{lane.settings.ports['postgres']}, user and database airflow",
        "logs": str(lane.settings.log),
        "files of DAGs": str(lane.files),
        "end it": _down(lane.home),
    }
    return "\n".join(f"{name:14} {value}" for name, value in rows.items())


def _down(home: Path) -> str:
    return "make fleet-down" if home == HOME else f"python -m fleet down --home {home}"


def status(lane: Lane) -> str:
    """A line for each component: its process, how many there are below it, and their memory."""
    lines = []
    for name in lane.names:
        family = lane.family(name)
        what = (
            f"process {family[0].pid}, {len(family)} in all, {lane.memory(name) / 2**20:.0f} MB" if family else "DOWN"
        )
        lines.append(f"{name:14} {what}")
    return "\n".join([*lines, addresses(lane)])


def _options(arguments: argparse.Namespace, home: Path) -> Options:
    return Options(
        dags=str(arguments.airflow_dags.absolute() if arguments.airflow_dags else home / "dags"),
        product=str(arguments.product.absolute()),
        schedulers=arguments.schedulers,
        triggerers=arguments.triggerers,
        workers=arguments.workers,
        concurrency=arguments.concurrency,
        speed=arguments.speed,
        quotas=arguments.quotas,
        connections=arguments.connections,
        settings=dict(arguments.set),
        env=dict(arguments.env),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring it up, in the background")
    down = commands.add_parser("down", help="end it and remove its home, also after a crash")
    status = commands.add_parser("status", help="list its processes and their memory")
    sql = commands.add_parser("psql", help="ask Airflow's database")
    for command in (up, down, status, sql):
        home = Path(os.environ.get("FLEET_HOME", HOME))
        command.add_argument("--home", type=Path, default=home, help="the folder with all of it (.fleet)")
    down.add_argument("--keep", type=Path, metavar="FOLDER", help="move the logs and the files of the DAGs there")
    sql.add_argument("sql")
    add = up.add_argument
    add("--airflow-dags", type=Path, metavar="FOLDER", help="the DAG files; by default fleet/dags and some examples")
    product = Path(os.environ.get("FLEET_PRODUCT", ROOT))
    add("--product", type=Path, default=product, metavar="CHECKOUT", help="the build of the product to run")
    for name, count in (("schedulers", 2), ("triggerers", 2), ("workers", 2)):
        add(f"--{name}", type=int, default=count, help=f"how many there are ({count})")
    add("--concurrency", type=int, default=4, help="tasks at once in each worker (4)")
    add("--speed", type=float, default=60.0, help="how many times faster than real life Toloka is (60)")
    add("--quotas", action="store_true", help="have Toloka answer 429 to whoever calls too often")
    add("--connections", type=int, default=100, help="max_connections of PostgreSQL (100)")
    pair = {"type": _pair, "action": "append", "default": []}
    add("--set", metavar="SECTION.KEY=VALUE", help="a setting of Airflow; may be repeated", **pair)  # type: ignore[arg-type]
    add("--env", metavar="NAME=VALUE", help="an environment variable of Airflow; may be repeated", **pair)  # type: ignore[arg-type]
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
