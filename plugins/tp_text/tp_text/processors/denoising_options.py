"""Options that denoising processors share. Torch-free."""

from collections.abc import Iterator

from tp_core.options.base import Problem
from tp_text.processors.seq2seq_options import EncoderDecoderConfig


class DenoisingConfig(EncoderDecoderConfig):
    """Options that the denoising processors share: both sides are made of one text, so they have one vocabulary."""

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        yield Problem("", "source and target are made of one text and share data.tokenizer; remove this one")
