"""Files on their way to and from Toloka: what a worker does for an operator."""
