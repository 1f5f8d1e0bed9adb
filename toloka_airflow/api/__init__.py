"""Toloka's REST API in Python; knows nothing of Airflow."""
