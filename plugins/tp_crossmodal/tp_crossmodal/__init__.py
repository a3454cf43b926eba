"""Modules of the tp toolkit for several modalities, such as texts and pictures."""
