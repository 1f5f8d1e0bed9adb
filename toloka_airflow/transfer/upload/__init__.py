"""From a file of tasks to the tasks of a pool, each created once."""
