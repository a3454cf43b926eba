"""Loggers: where the metrics, pictures and texts of a run are shown, beside ``metrics.jsonl``."""
