"""Toloka's crowdsourcing lifecycle in Apache Airflow DAGs."""

__version__ = "0.1.0"
