"""The pure core: what is decided, and nothing else.

No clock, no randomness, no logging, no files. Time is ``int`` seconds since the epoch,
intervals are half-open ``[start, end)``, capacities are tuples of ``int`` in the site's
order of resource types.
"""
