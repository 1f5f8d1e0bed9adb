"""Files on any object storage; knows nothing of Toloka."""
