"""
Whether this Airflow and its Toloka accounts are in order, and what to do where they are not.

It only reads: Airflow's metadata database, its configuration, and Toloka by GET. `diagnosis` puts the probes together;
a probe is a function that gives `Finding`s of one subject, and a module has those of one noun.
"""

from __future__ import annotations

from toloka_airflow.doctor.diagnosis import Options, diagnose
from toloka_airflow.doctor.findings import Finding, Status

__all__ = ["Finding", "Options", "Status", "diagnose"]
