"""Options of PEGASUS's gap sentences. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_text.processors.denoising_options import DenoisingConfig
from tp_text.processors.seq2seq_options import Role


class GapSentencesProcessorConfig(DenoisingConfig):
    """Gap sentences: a document's principal sentences are masked, and are the target (PEGASUS).

    One sentence per line, a blank line between documents.
    """

    implementation: ClassVar[str] = "tp_text.processors.gap_sentences:GapSentencesProcessor"
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "start", "end", "mask_token"})

    start: Role | None = Field("pad", description="token that the decoder's input begins with; unset: bos, else cls")
    gap_ratio: float = Field(0.3, gt=0, lt=1, description="part of the sentences to mask, one at least")
    mask_token: str | None = Field(
        None,
        description="the token that stands for a sentence; unset: ``<mask_1>`` if there is one, else the mask token",
    )
