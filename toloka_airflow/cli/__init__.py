"""The command ``airflow-toloka``."""
