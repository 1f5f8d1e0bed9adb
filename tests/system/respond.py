"""Respond to the one task that waits for a person, by Airflow's own REST API in this process."""

from __future__ import annotations

import argparse
import json
import time

from airflow.api_fastapi.app import create_app
from starlette.testclient import TestClient

TIMEOUT = 600
WAITING = ("awaiting_input", "deferred")
"""The states in which a task waits for a person: that of Airflow 3.3, and that of those before."""


def main(dag_id: str, option: str) -> None:
    with TestClient(create_app(apps="core")) as client:
        token = client.get("/auth/token").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            listed = client.get(f"/api/v2/dags/{dag_id}/dagRuns/~/hitlDetails", params={"response_received": False})
            listed.raise_for_status()
            # A response before the task waits is kept, but nothing resumes `dag.test()` then.
            details = [each for each in listed.json()["hitl_details"] if each["task_instance"]["state"] in WAITING]
            if details:
                break
            time.sleep(0.5)
        else:
            raise SystemExit(f"No task of {dag_id} waited for a person within {TIMEOUT} s")
        [detail] = details
        task = detail["task_instance"]
        path = f"/api/v2/dags/{dag_id}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
        client.patch(path, json={"chosen_options": [option], "params_input": {}}).raise_for_status()
    print(json.dumps({"task_id": task["task_id"], "subject": detail["subject"], "body": detail["body"]}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dag_id")
    parser.add_argument("option")
    main(**vars(parser.parse_args()))
