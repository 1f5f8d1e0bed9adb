"""Quality control: what people did is counted, and rules of pools and projects act on it."""
