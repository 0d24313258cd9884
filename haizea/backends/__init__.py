"""Backends, which carry decisions out and report what really happened."""
