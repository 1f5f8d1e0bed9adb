"""What is installed and configured here: this package as Airflow finds it, and the settings that waits depend on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from airflow.providers.common.compat.sdk import conf

from toloka_airflow import __version__
from toloka_airflow._internal.airflow_internals import (
    configured_executors,
    is_celery_executor,
    loaded_plugins,
    plugin_errors,
    provider_version,
    shares_streams,
)
from toloka_airflow._internal.startup import PRELOAD, imports_preload
from toloka_airflow._internal.wording import counted
from toloka_airflow.doctor import connections
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.doctor.findings import Finding, cross_out, fail, ok, warn
from toloka_airflow.get_provider_info import get_provider_info
from toloka_airflow.records.waits import stored_waits

PACKAGE = "airflow-toloka"
PLUGIN = "toloka"
SUPPORTED = (3, 1), (3, 3)
"""The first and the last Airflow that this version is tested with."""
_INSTALL = (
    f"Install the distribution {PACKAGE} (`pip install {PACKAGE}`) into the environment of every component of Airflow: "
    "a copy of the folder, or PYTHONPATH, brings neither plugin nor provider"
)
_FOUND_TWICE = f"Plugin {PLUGIN!r} already registered"
_LAST_LINES = 3
_SHOWN = 5


def probe_versions() -> Iterator[Finding]:
    """Compare the versions of Airflow, this package and what is installed of it."""
    airflow = version("apache-airflow-core")
    major, minor = (int(part) for part in airflow.split(".")[:2])
    first, last = SUPPORTED
    text = f"{PACKAGE} {__version__}, Airflow {airflow}, Python {platform.python_version()}"
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError:
        installed = None
    supported = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
    if (major, minor) < first:
        yield fail("versions", f"{text}: Airflow {supported} is supported", "Upgrade Airflow")
    elif (major, minor) > last:
        remedy = f"Upgrade {PACKAGE}, or run its tests with this Airflow before you rely on it"
        yield warn("versions", f"{text}: it is tested with Airflow {supported}", remedy)
    elif installed not in (None, __version__):
        remedy = f"Have one {PACKAGE} only: another copy of the package is found first (PYTHONPATH, plugins folder)"
        yield warn("versions", f"{text}, but what is installed is {installed}", remedy)
    else:
        yield ok("versions", text)


def probe_plugin() -> Iterator[Finding]:
    """Load the plugins, as each component does."""
    loaded = loaded_plugins()
    errors = {source: error for source, error in plugin_errors().items() if "toloka" in f"{source}{error}".lower()}
    if PLUGIN in loaded:
        # The metadata of one installation may be found twice: beside the package, and where it is installed.
        errors = {source: error for source, error in errors.items() if _FOUND_TWICE not in error}
    for source, error in errors.items():
        what = f"{source}: {error}"
        if PLUGIN in loaded:
            yield warn("plugin", what, f"Keep one {PACKAGE} only, be it installed or in the plugins folder")
        else:
            yield fail("plugin", f"The plugin cannot be loaded: {what}", f"Mend what it says; else {_INSTALL}")
    if PLUGIN in loaded and not errors:
        yield ok("plugin", f"It is loaded, from {loaded[PLUGIN].partition(': ')[0]}")
    elif not errors:
        text = "Airflow does not load the plugin, so it knows no timetables of windows and no links to Toloka"
        yield fail("plugin", text, _INSTALL)


def probe_provider() -> Iterator[Finding]:
    """Find the provider and its type of connection."""
    conn_type = get_provider_info()["connection-types"][0]["connection-type"]
    found = provider_version(PACKAGE, conn_type)
    if found is None:
        text = f"Airflow does not find the provider {PACKAGE}, so it has no form for connections of type {conn_type}"
        yield fail("provider", text, _INSTALL)
    else:
        yield ok("provider", f"{PACKAGE} {found} is found")


def probe_default_deferrable() -> Iterator[Finding]:
    """Say where tasks wait that do not say it themselves."""
    if conf.getboolean("operators", "default_deferrable", fallback=False):
        yield ok("default-deferrable", "Tasks wait in the triggerer")
    else:
        yield warn(
            "default-deferrable",
            "[operators] default_deferrable is off: each task that waits for people keeps the slot of a worker",
            "Set [operators] default_deferrable = True (AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE) where DAGs are parsed, "
            "or give deferrable=True to each sensor and operator that waits",
        )


def probe_shared_streams() -> Iterator[Finding]:
    """Say how waits poll."""
    if shares_streams():
        yield ok("shared-streams", "On: waits of a connection with one poll_interval share a poll")
    else:
        waits = stored_waits()
        text = f"Off, as Airflow has them since 3.3: each of {counted(len(waits), 'wait')} polls by itself"
        yield ok("shared-streams", f"{text}. With hundreds of them, upgrade or raise poll_interval")


def probe_celery() -> Iterator[Finding]:
    """Say whether workers of Celery import what tasks need before they fork."""
    teams = [team for executor, team in configured_executors() if is_celery_executor(executor)]
    if not teams:
        yield ok("celery", "No executor is of Celery, so there is nothing to set")
    elif all(imports_preload(team) for team in teams):
        yield ok("celery", f"Workers import {PRELOAD}, as far as it is configured here")
    else:
        yield warn(
            "celery",
            "Each task of Toloka in a worker of Celery spends about 0.1 s of CPU on imports",
            f'Set [celery] extra_celery_config = {{"imports": ["{PRELOAD}"]}} for workers and schedulers',
        )


def probe_import_errors() -> Iterator[Finding]:
    """Find DAG files that could not be imported and have to do with Toloka."""
    errors = database.import_errors()
    ours = [(file, trace) for file, trace in errors if "toloka" in f"{file}\n{trace}".lower()]
    # Whatever a DAG file connects to may be in its traceback.
    secrets = connections.stored_secrets() if ours else set()
    for file, trace in ours[:_SHOWN]:
        end = cross_out(" / ".join(line.strip() for line in trace.strip().splitlines()[-_LAST_LINES:]), secrets)
        remedy = f"Mend the file; `python {file}` on a machine with the same packages shows the same error"
        yield fail("import-errors", f"{file} cannot be imported: {end}", remedy)
    if len(ours) > _SHOWN:
        yield fail("import-errors", f"So cannot {len(ours) - _SHOWN} more", "See `airflow dags list-import-errors`")
    if not ours:
        others = f"; {counted(len(errors), 'file has', 'files have')} others" if errors else ""
        yield ok("import-errors", f"No DAG file has an error that has to do with Toloka{others}")
