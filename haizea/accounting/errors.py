"""Errors with results files."""

from __future__ import annotations


class ResultsError(Exception):
    """A results file cannot be written or read; says which, why and what to do."""
