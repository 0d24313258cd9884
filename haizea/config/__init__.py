"""The configuration file: its options, reading it, and what it means to the core.

Every option is declared once, in :mod:`haizea.config.scheduling` or
:mod:`haizea.config.sections`.
"""

from __future__ import annotations

from haizea.config.ini import ConfigError, Problem
from haizea.config.load import find_state_directory, load, loads
from haizea.config.resources import make_site
from haizea.config.sections import Config
from haizea.config.settings import scheduling_settings

__all__ = [
    "Config",
    "ConfigError",
    "Problem",
    "find_state_directory",
    "load",
    "loads",
    "make_site",
    "scheduling_settings",
]
