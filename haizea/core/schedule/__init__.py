"""The schedule as it is: leases, their order, what is due when, and the place that applies plans."""
