"""Waiting leases: who may start, backfilling by numbers of hosts or on particular hosts."""
