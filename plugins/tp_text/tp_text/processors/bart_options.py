"""Options of BART's text infilling. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_text.processors.denoising_options import DenoisingConfig
from tp_text.processors.seq2seq_options import Role


class BartProcessorConfig(DenoisingConfig):
    """Text infilling and sentence permutation; the target is the original text (BART).

    One sentence per line, a blank line between documents.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "mask_rate": "mlm_probability masked_lm_prob mlm_prob masking_probability mask_probability",
    }

    implementation: ClassVar[str] = "tp_text.processors.bart:BartProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad", "mask")
    usual_starts: ClassVar[tuple[str, ...]] = ("eos", "sep")
    sampling_options: ClassVar[frozenset[str]] = frozenset(
        {"pad", "start", "end", "infill_rate", "span_lambda", "permute_rate", "mask_rate", "delete_rate", "rotate_rate"}
    )

    start: Role | None = Field(None, description="first token of the decoder input; default: eos, else sep")
    infill_rate: float = Field(0.3, ge=0, lt=1, description="share of tokens in spans; each span becomes one mask")
    span_lambda: float = Field(3.0, gt=0, description="mean of the Poisson distribution of span lengths")
    permute_rate: float = Field(1.0, ge=0, le=1, description="share of a row's sentences that are permuted")
    mask_rate: float = Field(0.0, ge=0, lt=1, description="share of the other tokens replaced by the mask token")
    delete_rate: float = Field(0.0, ge=0, lt=1, description="share of the other tokens that are deleted")
    rotate_rate: float = Field(0.0, ge=0, le=1, description="share of rows that are rotated to begin at a random token")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.mask_rate + self.delete_rate > 1:
            yield Problem("delete_rate", "mask_rate and delete_rate add up to more than 1")
