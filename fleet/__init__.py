"""A deployment of Airflow as big users have it, on this machine: CeleryExecutor, PostgreSQL, Redis, two of each."""
