"""Words and patches in one sequence."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from tp_core.config import BuildContext
from tp_core.errors import TPError
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.modules.layers.mask import positions_of
from tp_crossmodal.config import WordPatchConfig
from tp_crossmodal.embeddings.joining import picture_behind
from tp_text.config import WordConfig
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
        self.config, self.complete = config, config.parts == "complete"
        size, std = config.embedding_size or context.embedding_size, config.init_std
        self.word = Word(WordConfig(embedding_size=config.embedding_size, init_std=std), context)
        self.patch = Patch(config, context)
        if self.complete:
            grid = config.grid()
            self.text_positions = linear.Embedding(config.text_length, size, std=std)
            self.text_segments = linear.Embedding(config.text_segments, size, std=std)
            self.text_norm = nn.LayerNorm(size, eps=config.text_norm_eps)
            self.image_positions = linear.Embedding(grid.before + grid.patches, size, std=std)
            self.modalities = linear.Embedding(2, size, std=std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_ids`` (batch, length) and ``pixel_values`` (batch, channels, height, width) → one sequence.

        Raises:
            TPError: the text is longer than ``text_length``; or the parts are complete, and the pictures are not of the
                size that positions were learned for.
        """
        text, image = self.word(inputs, None), self.patch(inputs, None)
        length, picture = text.states.shape[1], image.states
        if self.complete and length <= self.config.text_length:  # the longer ones are refused below
            text = text.with_states(self._text(text, inputs["token_type_ids"]))
            picture = self._picture(picture)
        joined = picture_behind(text, picture, None, self.config.text_length)
        joined = replace(joined, side={**joined.side, "patches": image.side["patches"] + length})
        return joined if sequence is None else joined.with_states(sequence.states + joined.states)

    def _text(self, words: Sequence, segments: Tensor) -> Tensor:
        states = words.states + self.text_segments(segments) + self.text_positions(positions_of(words))
        found: Tensor = self.text_norm(states) + self.modalities.weight[0]
        return found

    def _picture(self, patches: Tensor) -> Tensor:
        learned = self.image_positions.num_embeddings
        if patches.shape[1] != learned:
            raise TPError(f"pictures of {patches.shape[1]} places; positions were learned for {learned}")
        return patches + self.image_positions.weight + self.modalities.weight[1]

    def shared_weights(self) -> dict[str, nn.Parameter]:
        return self.word.shared_weights()
