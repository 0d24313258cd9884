"""New requests: admission of reservations and immediate leases, and counter-offers."""
