"""Options of the cross-modal embeddings and targets. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, Problem, TargetConfig, VectorFacts
from tp_core.metrics.facts import MetricFacts
from tp_core.modules.config import ClassificationConfig, LearnedPositionConfig
from tp_core.spec.schema_embedding import EmbeddingOptions
from tp_text.config import SegmentConfig, WordConfig
from tp_vision.config import PatchConfig, PatchPositionConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target


class WordPatchConfig(PatchConfig):
    """Words and patches of a picture, one behind the other (ViLT; Kim et al., 2021)."""

    parts: Literal["bare", "complete"] = Field(
        "bare",
        description="bare: no positions or segments, which modules behind may add over the whole sequence; complete: "
        "each part with learned positions of its own, words with segments and a norm (ViLT, which adds seg behind)",
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

    def text(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """The embedding component of the words."""
        word: dict[str, EmbeddingConfig] = {"word": WordConfig(init_std=self.init_std)}
        if self.parts == "bare":
            return word, EmbeddingOptions(norm="none", dropout=0.0)
        positions = LearnedPositionConfig(max_length=self.text_length, init_std=self.init_std)
        segments = SegmentConfig(num_segments=self.text_segments, init_std=self.init_std)
        options = EmbeddingOptions(norm_eps=self.text_norm_eps, dropout=0.0)
        return {**word, "pos": positions, "seg": segments}, options

    def picture(self) -> tuple[dict[str, EmbeddingConfig], EmbeddingOptions]:
        """The embedding component of the patches."""
        patch = PatchConfig(**self.model_dump(include=set(PatchConfig.model_fields)))
        positions = {"patch_pos": PatchPositionConfig(init_std=self.init_std)} if self.parts == "complete" else {}
        return {"patch": patch, **positions}, EmbeddingOptions(norm="none", dropout=0.0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        parts = [*self.text()[0].values(), *self.picture()[0].values()]
        return {name: field for part in parts for name, field in part.requires(context).items()}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        parts = [*self.text()[0].values(), *self.picture()[0].values()]
        return {name: field for part in parts for name, field in part.provides(context).items()}

    def build(self, context: BuildContext) -> "Embedding":
        from tp_crossmodal.embeddings.word_patch import WordPatch

        return WordPatch(self, context)


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
    """Image-text matching: does the text belong to the picture (class 1) or to another (ViLBERT; Lu et al., 2019).

    Of one sequence: first state → dense layer with tanh → two classes (ViLT, VisualBERT). Of two streams: the first
    states, each → dense layer with ReLU to one width, multiplied → two classes (ViLBERT).
    """

    reads_streams: ClassVar[bool] = True

    size: int | None = Field(
        None, gt=0, description="of two streams: width that both are brought to; the widest stream's if unset"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="before the classifier")
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:itm": FieldSpec(("batch",), high=2)}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return dict.fromkeys(context.streams if self.compares(context) else [self.stream or ""], VectorFacts("first"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.streams and self.stream is None and len(context.streams) != 2:
            names = ", ".join(context.streams)
            yield Problem("", f"compares two streams, and the model's are {names}; say which with stream")
        if not self.compares(context) and self.size is not None:
            yield Problem("size", "is for two streams; one sequence keeps its width")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def compares(self, context: BuildContext) -> bool:
        """Whether two streams are compared; else one sequence is read."""
        return bool(context.streams) and self.stream is None

    def classification(self, hidden_layer: bool) -> ClassificationConfig:
        """The options of the classifier within."""
        return ClassificationConfig(
            num_labels=2,
            pooling="first",
            hidden_layer=hidden_layer,
            dropout=self.dropout,
            init_std=self.init_std,
            stream=self.stream,
        )

    def build(self, context: BuildContext) -> "Target":
        from tp_core.modules.targets.classification import Classification
        from tp_crossmodal.targets.itm import StreamMatching

        if self.compares(context):
            return StreamMatching(self, context)
        return Classification(self.classification(hidden_layer=True), context, labels="itm")
