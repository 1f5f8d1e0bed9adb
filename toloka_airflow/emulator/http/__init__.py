"""HTTP in, HTTP out: routes, forms, lists, steering, pages, faults, and the requests that are sent."""
