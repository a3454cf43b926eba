"""Converters between Hugging Face's architectures of text models and specs: a file each. Torch-free."""
