"""Tokenizers: text to ids and back, in Rust or C++. Their options stand beside them, in ``*_options.py``."""
