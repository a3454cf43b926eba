"""Loggers send the metrics, images and texts of a run to other tools, in addition to ``metrics.jsonl``."""
