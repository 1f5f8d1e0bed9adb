"""A configuration, checked and estimated without a server."""
