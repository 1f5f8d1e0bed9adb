"""What may happen to it and when: one module per noun of the API."""
