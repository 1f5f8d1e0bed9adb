"""
What starting and stopping one emulator costs a test, and what the pytest plugin costs those who do not use it.

Run it by ``make bench-emulator``. Starting is measured until the first request is answered; the plugin by the modules
that importing it brings on top of pytest.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

from toloka_airflow.emulator.server import EmulatorServer

RUNS = 50
GOAL_MS = 50.0
IMPORT = """
import sys, time
import pytest
known = set(sys.modules)
start = time.process_time()
import toloka_airflow.emulator.pytest_plugin
print((time.process_time() - start) * 1000, len(set(sys.modules) - known))
"""


def once() -> tuple[float, float, float]:
    """Return the milliseconds until an emulator is ready, until it has answered a request, and that stopping takes."""
    begin = time.perf_counter()
    server = EmulatorServer().start()
    ready = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    connection.request("GET", "/api/v1/requester", headers={"Authorization": "OAuth x"})
    connection.getresponse().read()
    answered = time.perf_counter()
    server.stop()
    end = time.perf_counter()
    connection.close()
    return (ready - begin) * 1000, (answered - begin) * 1000, (end - answered) * 1000


def main() -> None:
    """Print the figures."""
    # The first one pays for what Python loads only once.
    first = once()
    runs = [once() for _ in range(RUNS)]
    for name, position in (("until it is ready", 0), ("until a request is answered", 1), ("to stop", 2)):
        measured = sorted(run[position] for run in runs)
        print(f"{statistics.median(measured):6.1f} ms median {measured[-1]:6.1f} ms largest  {name}")
    both = sorted(run[0] + run[2] for run in runs)
    print(f"{statistics.median(both):6.1f} ms median {both[-1]:6.1f} ms largest  to start and stop")
    print(f"{first[0] + first[2]:6.1f} ms for the first in a process. The goal is at most {GOAL_MS:.0f} ms.")
    output = subprocess.check_output([sys.executable, "-c", IMPORT], text=True)
    cost, modules = output.split()
    print(f"{float(cost):6.1f} ms and {modules} modules for the pytest plugin where nobody uses it")


if __name__ == "__main__":
    main()
