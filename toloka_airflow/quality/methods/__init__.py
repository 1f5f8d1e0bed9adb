"""Labels from answers, by numpy alone; imports nothing of the package."""
