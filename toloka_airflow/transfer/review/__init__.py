"""From a file of decisions, or a function that decides, to accepted and rejected answers."""
