"""Specs with the sizes of papers: a file each."""
