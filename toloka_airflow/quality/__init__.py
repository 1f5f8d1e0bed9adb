"""Labels and their quality, from files of answers; knows neither Toloka's API nor Airflow's tasks."""
