"""Tokenizers, implemented in Rust or C++ libraries. Their options are in ``*_options.py``."""
