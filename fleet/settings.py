"""What a fleet is made of, where it listens, and what Airflow is configured with."""

from __future__ import annotations

import base64
import glob
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from demo.local_airflow import free_ports, inherited_environment

ROOT = Path(__file__).resolve().parent.parent
FILE = "fleet.json"
"""By this file a folder is known as the home of a fleet."""
NUMBERED = ("scheduler", "triggerer", "worker")
PORTS = ("postgres", "redis", "toloka", "api-server", "worker-log", "trigger-log")
TOKEN = "fleet-token"


@dataclass(frozen=True)
class Options:
    """
    What a user chooses.

    :param dags: The folder with the DAG files.
    :param product: The checkout of the product that Airflow runs, which may be another one than that of the fleet.
    :param concurrency: How many tasks a Celery worker runs at once.
    :param speed: How many times faster than real life Toloka is.
    :param quotas: Whether Toloka answers 429 to whoever calls too often.
    :param connections: ``max_connections`` of PostgreSQL.
    :param settings: Further settings of Airflow, by ``section.key``; they win over those made here.
    :param env: Further environment variables of Airflow's processes.
    """

    dags: str
    product: str = str(ROOT)
    schedulers: int = 2
    triggerers: int = 2
    workers: int = 2
    concurrency: int = 4
    speed: float = 60.0
    quotas: bool = False
    connections: int = 100
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The components, in the order in which they are started."""
        counts = {"scheduler": self.schedulers, "triggerer": self.triggerers, "worker": self.workers}
        numbered = [f"{kind}.{number}" for kind in NUMBERED for number in range(1, counts[kind] + 1)]
        return ["postgres", "redis", "toloka", "api-server", "dag-processor", *numbered]


@dataclass(frozen=True)
class Fleet:
    """
    A fleet that was set up: the options, and what was chosen for it when it was.

    :param home: The folder with everything but the data of PostgreSQL.
    :param postgres: The folder with the data of PostgreSQL. It is below `home` if its user may go there.
    :param postgres_user: The user PostgreSQL runs as, if not ours: it refuses to be root.
    :param ports: The port of each server.
    :param secrets: What Airflow's processes share: ``fernet``, ``api``, ``jwt``.
    :param mark: What every process of the fleet carries in its environment, see `demo.processes`.
    """

    home: Path
    postgres: Path
    postgres_user: str | None
    options: Options
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    mark: str

    @classmethod
    def new(cls, home: Path, postgres: Path, postgres_user: str | None, options: Options) -> Self:
        """Choose ports and secrets."""
        return cls(
            home=home,
            postgres=postgres,
            postgres_user=postgres_user,
            options=options,
            ports=dict(zip(PORTS, free_ports(len(PORTS)), strict=True)),
            secrets={
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "api": secrets.token_hex(32),
                "jwt": secrets.token_hex(64),
            },
            mark=secrets.token_hex(16),
        )

    @classmethod
    def read(cls, home: Path) -> Self:
        """Return the fleet of a home; `FileNotFoundError` if there is none."""
        stored: dict[str, Any] = json.loads((home / FILE).read_text())
        stored["options"] = Options(**stored["options"])
        return cls(home=home, **{**stored, "postgres": Path(stored["postgres"])})

    def write(self) -> None:
        """Keep it in its home, readable to its owner only."""
        stored = {**asdict(self), "postgres": str(self.postgres)}
        del stored["home"]
        file = self.home / FILE
        file.touch(mode=0o600)
        file.write_text(json.dumps(stored, indent=1))

    def url(self, name: str) -> str:
        """The address of ``api-server`` or ``toloka``."""
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def log(self) -> Path:
        """The folder with one log file for each component."""
        return self.home / "log"

    @property
    def pid(self) -> Path:
        """The folder with the process id of each component."""
        return self.home / "pid"

    @property
    def files(self) -> Path:
        """The folder for what DAGs write."""
        return self.home / "files"

    def command(self, name: str) -> list[str]:
        """The command that is a component."""
        kind = name.partition(".")[0]
        airflow = [sys.executable, "-m", "airflow"]
        match kind:
            case "postgres":
                return self.as_postgres(postgres_program("postgres"), "-D", str(self.postgres))
            case "redis":
                # It would write its title over the environment that has the mark.
                # fmt: off
                return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.ports["redis"]),
                        "--dir", str(self.home / "redis"), "--appendonly", "yes", "--set-proc-title", "no"]
            case "toloka":
                quotas = [] if self.options.quotas else ["--no-quotas"]
                return [
                    sys.executable,
                    "-m",
                    "toloka_airflow.emulator",
                    "--port",
                    str(self.ports["toloka"]),
                    "--seed",
                    "1",
                    "--speed",
                    str(self.options.speed),
                    "--balance",
                    "100000",
                    "--crowd-size",
                    "200",
                    *quotas,
                ]
            case "worker":
                return [
                    *airflow,
                    "celery",
                    "worker",
                    "--concurrency",
                    str(self.options.concurrency),
                    "--celery-hostname",
                    name.replace(".", "-"),
                    "--skip-serve-logs",
                    "--pid",
                    str(self.pid / f"celery-{name}"),
                ]
                # fmt: on
            case "scheduler" | "triggerer":
                return [*airflow, kind, "--skip-serve-logs"]
            case _:
                return [*airflow, kind]

    def as_postgres(self, *command: str) -> list[str]:
        """Have a command run by the user of PostgreSQL."""
        if self.postgres_user is None:
            return list(command)
        return ["setpriv", f"--reuid={self.postgres_user}", f"--regid={self.postgres_user}", "--init-groups", *command]

    def environment(self, name: str) -> dict[str, str]:
        """The environment variables of a component."""
        ours = inherited_environment()
        # Where it is set, every process compiles all of Airflow anew.
        ours.pop("PYTHONDONTWRITEBYTECODE", None)
        if name in ("postgres", "redis"):
            return ours
        if name == "toloka":
            return {**ours, "PYTHONPATH": str(ROOT)}
        return {
            **ours,
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": self.options.product,
            "FLEET_FILES": str(self.files),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **airflow_variables(self._airflow()),
            **{f"AIRFLOW__{'__'.join(key.split('.', 1))}".upper(): each for key, each in self.options.settings.items()},
            **self.options.env,
        }

    def _airflow(self) -> dict[str, dict[str, object]]:
        api = self.url("api-server")
        # Named with its driver: what SQLAlchemy takes for postgresql:// is another one since 2.1.
        database = f"postgresql+psycopg2://airflow@127.0.0.1:{self.ports['postgres']}/airflow"
        return {
            "core": {
                "dags_folder": self.options.dags,
                "load_examples": False,
                "dags_are_paused_at_creation": False,
                "executor": "CeleryExecutor",
                "parallelism": 32,
                "max_active_tasks_per_dag": 32,
                "max_map_length": 10_000,
                "fernet_key": self.secrets["fernet"],
                "simple_auth_manager_all_admins": True,
                # The default queries DNS for the name of this machine; this one says 127.0.0.1.
                "hostname_callable": "urllib.request.localhost",
                "execution_api_server_url": f"{api}/execution/",
            },
            "api": {
                "host": "127.0.0.1",
                "port": self.ports["api-server"],
                "base_url": api,
                "workers": 1,
                "secret_key": self.secrets["api"],
            },
            "api_auth": {"jwt_secret": self.secrets["jwt"]},
            "database": {"sql_alchemy_conn": database},
            "celery": {
                "broker_url": f"redis://127.0.0.1:{self.ports['redis']}/0",
                "result_backend": f"db+{database}",
            },
            # Short, so that what is lost is seen within a test and not within ten minutes or a day.
            "celery_broker_transport_options": {"visibility_timeout": 60},
            # Nothing listens there: the API server reads the files themselves.
            "logging": {
                "worker_log_server_port": self.ports["worker-log"],
                "trigger_log_server_port": self.ports["trigger-log"],
            },
            "scheduler": {
                "enable_health_check": False,
                "task_instance_heartbeat_sec": 5,
                "task_instance_heartbeat_timeout": 45,
                "task_instance_heartbeat_timeout_detection_interval": 5,
                "orphaned_tasks_check_interval": 20,
                "scheduler_health_check_threshold": 20,
                # Also how long the token of a workload is good for, so it may not be much shorter.
                "task_queued_timeout": 240,
                "task_queued_timeout_check_interval": 15,
            },
            # A cold API server needs long for its first answer on a busy machine; the default gives up after 5 x 5 s.
            "workers": {"execution_api_timeout": 30, "execution_api_retries": 8},
            "dag_processor": {"refresh_interval": 10, "parsing_processes": 1},
            "triggerer": {"job_heartbeat_sec": 2, "triggerer_health_check_threshold": 10, "capacity": 4000},
        }


def airflow_variables(settings: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return the environment variables of settings by section and key."""
    return {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for section, options in settings.items()
        for key, value in options.items()
    }


def postgres_program(name: str) -> str:
    """
    Return the path of a program of PostgreSQL, of the newest version that Debian's packages have installed.

    Raises `FileNotFoundError` if there is none.
    """
    versions = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    if versions:
        return max(versions, key=lambda path: float(Path(path).parts[4]))
    if found := shutil.which(name):
        return found
    raise FileNotFoundError(f"{name} of PostgreSQL is not installed")


def run_by_root() -> bool:
    """Whether we are root, as whom PostgreSQL refuses to run."""
    return os.getuid() == 0
