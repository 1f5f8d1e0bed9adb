"""HTTP in, HTTP out: the calls of the API, steering, pages, and faults on request."""
