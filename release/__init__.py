"""What `make release` runs; nothing of it is installed."""
