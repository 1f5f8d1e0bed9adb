"""From what people answered to a file."""
