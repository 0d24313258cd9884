"""Disk images: transfers, what is on which host, and plans that need both hosts and a transfer."""
