"""Tokenizers: text to ids and back, in Rust or C++. Their options are in :mod:`tp_text.tokenizers.config`."""
