"""The files that people attached to their answers, from Toloka to a folder."""
