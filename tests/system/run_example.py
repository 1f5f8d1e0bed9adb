"""Parse one example DAG without any network, then run it by `dag.test()`; the last line says how it ended."""

from __future__ import annotations

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


def main(path: str, conf: str | None = None) -> None:
    import airflow.sdk  # noqa: F401, so that only what the example does is watched

    network = Network()
    sys.addaudithook(network)
    network.locked = True
    dag = runpy.run_path(path)["dag"]
    network.locked = False
    if conf is None:
        print(json.dumps({"dag_id": dag.dag_id}))
        return
    run = dag.test(run_conf=json.loads(conf))
    tasks = {instance.task_id: instance.state for instance in run.get_task_instances()}
    print(json.dumps({"dag_id": dag.dag_id, "state": run.state, "tasks": tasks}))


if __name__ == "__main__":
    main(*sys.argv[1:])
