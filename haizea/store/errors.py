"""Errors of a store. No message has a secret in it."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used: what, where, why and what to do, in words."""


class StoreUnavailable(StoreError):
    """A store that cannot be written or read just now; the same may be tried again later."""


class StoreMissing(StoreError):
    """There is no store, or nothing in it, and none was to be made."""


class StoreLost(StoreError):
    """Another manager has taken the store over; this one must stop."""


class CodecError(StoreError):
    """Something in the store, or for it, is not what it should be."""
