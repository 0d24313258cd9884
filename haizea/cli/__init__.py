"""The `haizea` command and its sub-commands."""
