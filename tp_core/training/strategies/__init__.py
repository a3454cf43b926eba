"""Strategies: how a model is spread over processes and devices."""
