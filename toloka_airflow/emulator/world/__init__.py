"""What there is and what time it is: state, virtual time, ids, journal, quotas; no HTTP."""
