"""A configuration rehearsed with the emulator, in virtual time, before it costs anything."""

from toloka_airflow.rehearsal.crowds import Crowd
from toloka_airflow.rehearsal.plans import RehearsalError
from toloka_airflow.rehearsal.rehearsing import rehearse
from toloka_airflow.rehearsal.results import Rehearsal, Run, Spread

__all__ = ["Crowd", "Rehearsal", "RehearsalError", "Run", "Spread", "rehearse"]
