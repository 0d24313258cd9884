"""Haizea: a lease manager with advance reservations.

Start reading at :mod:`haizea.core.scheduler` (what is decided) and
:mod:`haizea.runtime` (how the parts are wired); ``docs/architecture.md`` is the map.
"""

__version__ = "2.0.0a1"
