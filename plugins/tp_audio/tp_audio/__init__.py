"""Audio modules of the tp toolkit."""
