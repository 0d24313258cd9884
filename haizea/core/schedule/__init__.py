"""The schedule as it is: leases, their order, what is due, and who applies plans."""
