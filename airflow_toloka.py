"""Nothing but the name of the distribution: Airflow 3.3 imports it when it looks for the example DAGs of providers."""
