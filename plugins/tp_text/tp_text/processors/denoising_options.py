"""Shared options of denoising processors. Torch-free."""

from collections.abc import Iterator

from tp_core.options.base import Problem
from tp_text.processors.seq2seq_options import EncoderDecoderConfig


class DenoisingConfig(EncoderDecoderConfig):
    """Shared options of the denoising processors. Both sides come from one text, so they use one vocabulary."""

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        yield Problem("", "source and target are made of one text and share data.tokenizer; remove this one")
