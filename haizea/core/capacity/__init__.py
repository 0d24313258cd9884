"""Free capacity over time: the slot table, what it is made of, and what serves one at a time."""
