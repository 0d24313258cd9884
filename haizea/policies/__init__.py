"""The policies that come with Haizea, and how those that a configuration names are found."""
