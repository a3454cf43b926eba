"""Embedding of words and patches in one sequence."""

from __future__ import annotations

from torch import nn

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.embeddings.component import EmbeddingComponent
from tp_core.options.context import BuildContext
from tp_crossmodal.embeddings.joining import picture_behind
from tp_crossmodal.embeddings.word_patch_options import WordPatchConfig


class WordPatch(Embedding):
    """The words of ``input_ids``, then the class token and the patches of ``pixel_values`` (Kim et al., 2021).

    Words and patches have separate embedding components. Padding of the text stays masked; patches have no padding.
    Modules after it add to the whole sequence: they see the positions of :func:`picture_behind`, and ``token_type_ids``
    of 0 for words and 1 for the picture. Publishes ``patches``, the index of each patch in the sequence.
    """

    def __init__(self, config: WordPatchConfig, context: BuildContext) -> None:
        super().__init__()
        self.text_length = config.text_length
        self.text = EmbeddingComponent(*config.text(), context)
        self.picture = EmbeddingComponent(*config.picture(), context)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_ids`` (batch, length) and ``pixel_values`` (batch, channels, height, width) → one sequence.

        Raises:
            TPError: the text is longer than ``text_length``.
        """
        return picture_behind(self.text(inputs), self.picture(inputs), self.text_length)

    def shared_weights(self) -> dict[str, nn.Parameter]:
        return self.text.parts["word"].shared_weights()  # type: ignore[operator,no-any-return]
