"""Converters between Hugging Face's text architectures and specs, one file per architecture. Torch-free."""
