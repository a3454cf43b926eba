"""Modules of several modalities at once, of the tp toolkit."""
