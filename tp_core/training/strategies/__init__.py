"""Strategies distribute a model over processes and devices."""
