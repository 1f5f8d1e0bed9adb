"""The script that makes `toloka_airflow/checks/schemas.json` from the public API document."""
