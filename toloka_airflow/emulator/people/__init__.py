"""Simulated Tolokers, and what they should answer."""
