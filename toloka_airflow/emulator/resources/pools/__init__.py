"""Pools and trainings, which have most in common: their forms, their rules, what people learn, and the calls."""
