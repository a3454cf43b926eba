"""Modules of many kinds, found by tp through the entry points of this distribution."""
