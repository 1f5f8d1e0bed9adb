"""What ``make demo`` runs, and the local Airflow that the system tests start."""
