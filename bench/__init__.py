"""Measures how fast Haizea is. ``python -m bench --help`` says how."""
