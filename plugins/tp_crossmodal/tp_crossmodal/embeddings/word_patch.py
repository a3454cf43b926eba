"""Words and patches in one sequence."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from tp_core.config import BuildContext
from tp_core.errors import TPError
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.modules.layers.mask import positions_of
from tp_crossmodal.config import WordPatchConfig
from tp_crossmodal.embeddings.joining import picture_behind
from tp_text.embeddings.word import Word
from tp_vision.embeddings.patch import Patch


class WordPatch(Embedding):
    """The words of ``input_ids``, then the class token and the patches of ``pixel_values`` (Kim et al., 2021).

    Padding of the text stays hidden, and every patch is real. Modules behind add over the whole sequence: to them,
    positions are those of :func:`picture_behind`, and ``token_type_ids`` 0 for words and 1 for the picture. Publishes
    ``patches``, the place of each patch of the grid.
    """

    def __init__(self, config: WordPatchConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.word, self.patch = config, Word(config.words(), context), Patch(config, context)

    def parts(self, inputs: Inputs) -> tuple[Sequence, Sequence]:
        """The words and the picture, states (batch, length, size) and (batch, places, size)."""
        return self.word(inputs, None), self.patch(inputs, None)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_ids`` (batch, length) and ``pixel_values`` (batch, channels, height, width) → one sequence.

        Raises:
            TPError: the text is longer than ``text_length``.
        """
        text, picture = self.parts(inputs)
        joined = picture_behind(text, picture.states, None, self.config.text_length)
        return replace(joined, side={**joined.side, "patches": picture.side["patches"] + text.states.shape[1]})

    def shared_weights(self) -> dict[str, nn.Parameter]:
        return self.word.shared_weights()


class CompleteWordPatch(WordPatch):
    """Words and patches that are each whole before they are joined, as in the published ViLT.

    Words get positions and segments, and then a norm; patches get positions; both get a vector for their modality.
    """

    def __init__(self, config: WordPatchConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        size, std, grid = config.embedding_size or context.embedding_size, config.init_std, config.grid()
        self.text_positions = linear.Embedding(config.text_length, size, std=std)
        self.text_segments = linear.Embedding(config.text_segments, size, std=std)
        self.text_norm = nn.LayerNorm(size, eps=config.text_norm_eps)
        self.image_positions = linear.Embedding(grid.before + grid.patches, size, std=std)
        self.modalities = linear.Embedding(2, size, std=std)

    def parts(self, inputs: Inputs) -> tuple[Sequence, Sequence]:
        """As without positions; ``token_type_ids`` (batch, length) are the segments of the words.

        Raises:
            TPError: the pictures are not of the size that positions were learned for.
        """
        words, patches = super().parts(inputs)
        longest, learned = self.text_positions.num_embeddings, self.image_positions.num_embeddings
        if patches.states.shape[1] != learned:
            raise TPError(f"pictures of {patches.states.shape[1]} places; positions were learned for {learned}")
        if words.states.shape[1] > longest:  # which joining the two refuses
            return words, patches
        text = words.states + self.text_segments(inputs["token_type_ids"]) + self.text_positions(positions_of(words))
        picture = patches.states + self.image_positions.weight
        kinds = self.modalities.weight
        return words.with_states(self.text_norm(text) + kinds[0]), patches.with_states(picture + kinds[1])
