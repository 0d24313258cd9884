"""The HTTP interface: leases for whoever has a token, from anywhere a request can come from."""
