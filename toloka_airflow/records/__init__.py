"""What Airflow's metadata database says of this package's tasks: for the doctor and for the page in Airflow's UI."""
