"""Options of the processor of the original's ChID models. Torch-free."""

from typing import ClassVar

from tp_text.processors.cloze_options import ClozeProcessorConfig


class PaddedClozeProcessorConfig(ClozeProcessorConfig):
    """Cloze tests as ``run_chid.py`` reads them: padding up to ``max_length`` is seen like tokens."""

    implementation: ClassVar[str] = "tp_tencentpretrain.padded_cloze:PaddedClozeProcessor"
