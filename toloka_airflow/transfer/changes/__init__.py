"""What shall be changed at Toloka, row by row: read from files and lists, and sent several at a time."""
