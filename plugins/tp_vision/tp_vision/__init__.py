"""Vision modules of the tp toolkit."""
