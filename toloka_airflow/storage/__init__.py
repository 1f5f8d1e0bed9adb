"""Files on object storage: tasks that are read, rows that are written."""
