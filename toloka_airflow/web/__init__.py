"""The page "Toloka" in Airflow's UI: a FastAPI app that the plugin mounts in the API server, and nowhere else."""
