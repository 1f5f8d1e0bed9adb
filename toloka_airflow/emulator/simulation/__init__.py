"""The parts put together: the world, its people, what is sent to others, and its whole state in a document."""
