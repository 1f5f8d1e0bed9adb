"""All probes, one after the other, each within its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial

from toloka_airflow.doctor import accounts, components, connections, installation, pools
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.doctor.accounts import Account, secrets_of
from toloka_airflow.doctor.findings import Finding, Status, ok, unknown
from toloka_airflow.doctor.probes import Probe, run_probe
from toloka_airflow.get_provider_info import get_provider_info
from toloka_airflow.hooks import TolokaHook

OF_PROCESS: dict[str, Probe] = {
    "versions": installation.probe_versions,
    "plugin": installation.probe_plugin,
    "provider": installation.probe_provider,
    "default-deferrable": installation.probe_default_deferrable,
    "celery": installation.probe_celery,
}
"""What needs nobody but this process."""
OF_DATABASE: dict[str, Probe] = {
    "scheduler": components.probe_scheduler,
    "dag-processor": components.probe_dag_processor,
    "triggerer": components.probe_triggerer,
    "triggerer-capacity": components.probe_capacity,
    "triggerer-queues": components.probe_queues,
    "unassigned-waits": components.probe_unassigned,
    "overdue-waits": components.probe_overdue,
    "paused-dags": components.probe_paused,
    "shared-streams": installation.probe_shared_streams,
    "import-errors": installation.probe_import_errors,
}
"""What is in Airflow's metadata database."""


OF_REQUESTS = 0.7
"""The share of the time of a probe that its requests to Toloka may take."""


@dataclass(frozen=True)
class Options:
    """
    What a diagnosis is to do.

    :param conn_ids: The connections; if there are none, all of type ``toloka`` that Airflow's database and the
        environment have, or else the default one.
    :param timeout: Seconds that each probe may take.
    :param min_balance: Money that should be on each account, in its currency.
    :param max_open: How far away the expiry of an open pool may be.
    """

    conn_ids: Sequence[str] = ()
    timeout: float = 20.0
    min_balance: Decimal = Decimal(10)
    max_open: timedelta = field(default_factory=lambda: timedelta(days=30))


def diagnose(options: Options | None = None) -> Iterator[Finding]:
    """Give what the probes find, as they find it. Nothing in it is secret; nothing is changed anywhere."""
    options = options or Options()
    secrets: set[str] = database.database_secrets()
    for finding in _findings(options, secrets):
        yield finding.without(secrets)


def _findings(options: Options, secrets: set[str]) -> Iterator[Finding]:
    has_database = True
    for finding in run_probe("metadata-database", components.probe_metadata_database, options.timeout):
        has_database = has_database and finding.status is Status.OK
        yield finding
    # Before anything may quote a token, such as the traceback of a DAG.
    conn_ids = _connection_ids(options, secrets, has_database=has_database)
    for check, probe in OF_PROCESS.items():
        yield from run_probe(check, probe, options.timeout)
    for check, probe in OF_DATABASE.items():
        if has_database:
            yield from run_probe(check, probe, options.timeout)
        else:
            yield _without_database(check)
    yield from _of_accounts(options, conn_ids, secrets, has_database=has_database)


def _of_accounts(options: Options, conn_ids: list[str], secrets: set[str], *, has_database: bool) -> Iterator[Finding]:
    timeout = options.timeout
    known: dict[tuple[str, str], str] = {}
    # So that the error of a request is what is said, and not that its probe takes too long.
    of_requests = OF_REQUESTS * timeout
    for conn_id in conn_ids:
        account = Account(conn_id, secrets, has_database=has_database)
        probe = partial(accounts.probe_account, account, timeout=of_requests, min_balance=options.min_balance)
        yield from run_probe("connection", probe, timeout, conn_id=conn_id)
        first = known.setdefault(account.key, conn_id) if account.is_open else conn_id
        of_pools = partial(pools.probe_pools, account, timeout=of_requests, max_open=options.max_open)
        of_trainings = partial(pools.probe_trainings, account, timeout=of_requests)
        for check, probe in {"open-pools": of_pools, "open-trainings": of_trainings}.items():
            if first != conn_id:
                yield ok(check, f"It is the account of {first}, whose line says it", conn_id=conn_id)
            elif account.is_open and has_database:
                yield from run_probe(check, probe, timeout, conn_id=conn_id)
            elif has_database:
                why = "They were not listed, as Toloka does not answer this connection; see `connection`"
                yield unknown(check, why, conn_id=conn_id)
            else:
                yield _without_database(check, conn_id)


def _connection_ids(options: Options, secrets: set[str], *, has_database: bool) -> list[str]:
    """Return the connections to try, and add to the secrets what they and all that Airflow lists hold."""
    conn_type = get_provider_info()["connection-types"][0]["connection-type"]
    found: list[str] = []

    def probe() -> Iterator[Finding]:
        found.extend(connections.connection_ids(conn_type, has_database=has_database))
        for conn_id in dict.fromkeys([*found, *options.conn_ids, TolokaHook.default_conn_name]):
            secrets.update(secrets_of(conn_id, has_database=has_database))
        yield from ()

    for _ in run_probe("connection", probe, options.timeout):
        pass  # what keeps it from being listed is found for each connection
    return list(options.conn_ids) or found or [TolokaHook.default_conn_name]


def _without_database(check: str, conn_id: str | None = None) -> Finding:
    return unknown(check, "It was not tried, as Airflow's database does not answer; see `metadata-database`",
                   conn_id=conn_id)  # fmt: skip
