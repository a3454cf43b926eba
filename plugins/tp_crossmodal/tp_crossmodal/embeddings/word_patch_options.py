"""Options of words and patches in one sequence. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.norm import NormConfig
from tp_core.options.ports import TOKEN_TYPE_IDS, Port
from tp_core.spec.sections.embedding import EmbeddingOptions
from tp_text.embeddings.segment_options import SegmentConfig
from tp_text.embeddings.word_options import WordConfig
from tp_vision.embeddings.patch_options import PatchConfig
from tp_vision.embeddings.positions_options import PatchPositionConfig

#: Options of a part without norm and dropout.
_BARE = {"norm": "none", "dropout": 0.0}


class WordPatchConfig(PatchConfig):
    """Words, followed by the patches of a picture (ViLT; Kim et al., 2021)."""

    implementation: ClassVar[str] = "tp_crossmodal.embeddings.word_patch:WordPatch"

    parts: Literal["bare", "complete"] = Field(
        "bare",
        description="bare: no positions or segments; later modules can add them to the whole sequence; complete: words "
        "and patches have separate learned positions, words also have segments and a norm (ViLT; list seg after it)",
    )
    text_length: int = Field(
        128,
        gt=0,
        description="number of positions that are reserved for the text; positions of the picture start after them",
    )
    text_segments: int = Field(
        2, gt=0, description="parts complete: number of segments within the text (token_type_ids)"
    )
    text_norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="parts complete: norm of the words")

    def length_limit(self) -> int | None:
        return self.text_length

    def places(self) -> int:
        grid = self.grid()
        return self.text_length + grid.before + grid.patches

    def text(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """Embedding component of the words."""
        word: dict[str, EmbeddingConfig] = {"word": WordConfig(init_std=self.init_std)}
        if self.parts == "bare":
            return word, EmbeddingOptions.model_validate(_BARE)
        positions = LearnedPositionConfig(max_length=self.text_length, init_std=self.init_std)
        segments = SegmentConfig(num_segments=self.text_segments, init_std=self.init_std)
        options = EmbeddingOptions(norm=self.text_norm, dropout=0.0)
        return {**word, "pos": positions, "seg": segments}, options

    def picture(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """Embedding component of the patches."""
        patch = PatchConfig(**self.model_dump(include=set(PatchConfig.model_fields)))
        positions = {"patch_pos": PatchPositionConfig(init_std=self.init_std)} if self.parts == "complete" else {}
        return {"patch": patch, **positions}, EmbeddingOptions.model_validate(_BARE)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        parts = [*self.text()[0].values(), *self.picture()[0].values()]
        fields = {name: field for part in parts for name, field in part.requires(context).items()}
        # The segments of the words are this module's option.
        return {n: f._replace(option="text_segments") if n == TOKEN_TYPE_IDS else f for n, f in fields.items()}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        parts = [*self.text()[0].values(), *self.picture()[0].values()]
        own = {Port.published("token_type_ids"): FieldSpec(high=2)}
        return own | {name: field for part in parts for name, field in part.provides(context).items()}
