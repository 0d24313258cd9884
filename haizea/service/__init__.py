"""Haizea as a service: real time, durable leases, an HTTP interface."""
