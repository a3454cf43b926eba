"""Options of the cross-modal embeddings and targets. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, Problem, TargetConfig
from tp_text.config import WordConfig
from tp_vision.config import PatchConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target


class WordPatchConfig(PatchConfig):
    """Words and patches of a picture, one behind the other (ViLT; Kim et al., 2021)."""

    parts: Literal["bare", "complete"] = Field(
        "bare",
        description="bare: no positions or segments, which modules behind may add over the whole sequence; complete: "
        "each part with learned positions of its own, words with segments and a norm, and a vector per modality (ViLT)",
    )
    text_length: int = Field(
        128, gt=0, description="positions that are kept for the text; those of the picture begin behind them"
    )
    text_segments: int = Field(2, gt=0, description="of complete parts: segments within the text (token_type_ids)")
    text_norm_eps: float = Field(1e-12, gt=0, description="of complete parts: epsilon of the words' norm")

    def length_limit(self) -> int | None:
        return self.text_length

    def places(self) -> int:
        grid = self.grid()
        return self.text_length + grid.before + grid.patches

    def words(self) -> WordConfig:
        """The options of the word embedding."""
        return WordConfig(embedding_size=self.embedding_size, init_std=self.init_std)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        words = {"input_ids": FieldSpec(high=context.vocab_size)}
        if self.parts == "complete":
            words["token_type_ids"] = FieldSpec(high=self.text_segments)
        return words | super().requires(context)

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        word = {"weight:word": FieldSpec((context.vocab_size, context.embedding_size), "float32")}
        return word | super().provides(context)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.parts == "complete" and self.registers:
            yield Problem("registers", "have no place in ViLT's complete parts; use parts: bare")

    def build(self, context: BuildContext) -> "Embedding":
        from tp_crossmodal.embeddings.word_patch import CompleteWordPatch, WordPatch

        return (CompleteWordPatch if self.parts == "complete" else WordPatch)(self, context)


class RegionConfig(EmbeddingConfig):
    """Given features of regions of a picture, projected (VisualBERT, ViLBERT, ImageBERT); behind words if any."""

    size: int = Field(2048, gt=0, description="width of the given features")
    boxes: bool = Field(False, description="add the projected boxes of the regions: left, top, right, bottom, area")
    segment: bool = Field(False, description="add a learned vector that says that this is a picture (VisualBERT)")
    text_length: int = Field(
        128, gt=0, description="positions that are kept for words before; those of the regions begin behind them"
    )
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        # The processor decides how many; 36 a picture are usual (Anderson et al., 2018).
        fields = {
            "visual_embeds": FieldSpec(("batch", 36, self.size), "float32"),
            "visual_attention_mask": FieldSpec(("batch", 36), "bool"),
        }
        return fields | ({"visual_boxes": FieldSpec(("batch", 36, 5), "float32")} if self.boxes else {})

    def build(self, context: BuildContext) -> "Embedding":
        from tp_crossmodal.embeddings.region import Region

        return Region(self, context)


class ImageTextMatchingConfig(TargetConfig):
    """Image-text matching: does the text belong to the picture (ViLBERT; Lu et al., 2019)."""

    size: int | None = Field(
        None, gt=0, description="of two streams: width that both are brought to; the widest stream's if unset"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="before the classifier")
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:itm": FieldSpec(("batch",), high=2)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.streams and self.stream is None and len(context.streams) != 2:
            names = ", ".join(context.streams)
            yield Problem("", f"compares two streams, and the model's are {names}; say which with stream")
        if not self.compares(context) and self.size is not None:
            yield Problem("size", "is for two streams; one sequence keeps its width")

    def compares(self, context: BuildContext) -> bool:
        """Whether two streams are compared; else one sequence is read."""
        return bool(context.streams) and self.stream is None

    def build(self, context: BuildContext) -> "Target":
        from tp_crossmodal.targets.itm import ImageTextMatching

        return ImageTextMatching(self, context)
