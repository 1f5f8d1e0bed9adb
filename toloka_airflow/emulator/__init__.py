"""A local Toloka: a discrete-event simulation of the requester API, for developing and testing."""
