"""Peer: a sensor with a trigger from Airflow's standard provider."""

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

with DAG("date_time_sensor"):
    DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf['at'] }}")
