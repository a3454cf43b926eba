"""Options of PEGASUS's gap sentences. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_text.processors.denoising_options import DenoisingConfig
from tp_text.processors.seq2seq_options import Role


class GapSentencesProcessorConfig(DenoisingConfig):
    """Gap sentences: a document's principal sentences are masked in the source and form the target (PEGASUS).

    One sentence per line, a blank line between documents.
    """

    implementation: ClassVar[str] = "tp_text.processors.gap_sentences:GapSentencesProcessor"
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end", "mask_token"})

    start: Role | None = Field("pad", description="first token of the decoder input; if null: bos, else cls")
    source_start: Role | None = Field(None, description="special token before the source; default: none")
    gap_ratio: float = Field(0.3, gt=0, lt=1, description="share of sentences to mask, at least one")
    mask_token: str | None = Field(
        None,
        description="token that replaces a sentence; default: ``<mask_1>`` if it exists, else the mask token",
    )
