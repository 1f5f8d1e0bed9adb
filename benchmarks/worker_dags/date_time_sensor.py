"""Peer: a sensor with a trigger from Airflow's standard provider."""

from pathlib import Path

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

QUEUE = Path(__file__).parent.name

with DAG(f"date_time_sensor.{QUEUE}", default_args={"queue": QUEUE}):
    DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf['at'] }}")
