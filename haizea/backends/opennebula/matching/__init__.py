"""Matchmaking: which hosts and datastores will do for a VM, and which are preferred."""
