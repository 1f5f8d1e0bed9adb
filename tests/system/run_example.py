"""Parse DAG files without any network, then run one by `dag.test()`; the last line says what came of it."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from typing import Any


class Network:
    """Refuse all connections while it is locked."""

    locked = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.locked and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            raise RuntimeError(f"parsing touched the network: {event} {args}")


def main(paths: list[str], conf: str | None) -> None:
    from airflow.sdk import DAG  # here, so that only what the example does is watched

    network = Network()
    sys.addaudithook(network)
    network.locked = True
    dags = {path: next(each for each in runpy.run_path(path).values() if isinstance(each, DAG)) for path in paths}
    network.locked = False
    if conf is None:
        print(json.dumps({path: dag.dag_id for path, dag in dags.items()}))
        return
    [dag] = dags.values()
    run = dag.test(run_conf=json.loads(conf))
    tasks = {instance.task_id: instance.state for instance in run.get_task_instances()}
    print(json.dumps({"dag_id": dag.dag_id, "state": run.state, "tasks": tasks}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="the DAG files")
    parser.add_argument("--conf", help="the conf of a run, as JSON; without it, nothing is run")
    main(**vars(parser.parse_args()))
