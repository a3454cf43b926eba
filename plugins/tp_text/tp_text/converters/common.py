"""Shared parts of the converters of text models."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tp_core.interop import classifiers, parts
from tp_core.interop.class_names import class_names
from tp_core.interop.rules import Copy, Same, Stacked, WeightRule, below
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: Keys that never change what a causal model computes.
CAUSAL_IRRELEVANT = frozenset(
    {
        "is_decoder",  # these models are always decoders
        "pretraining_tp",  # same result, computed in slices
    }
)


#: Processors of texts with the labels of the targets of the same name.
LABELLED = ("cls", "multi_label", "regression")


def attention(options: LayerOptions) -> AttentionConfig:
    """Options of the layers' self-attention.

    Raises:
        MisfitError: the mixer is not attention.
    """
    return parts.part(options, "mixer", AttentionConfig)


def feed_forward(options: LayerOptions) -> DenseConfig:
    """Options of the layers' feed-forward part, with or without a gate.

    Raises:
        MisfitError: the feed-forward part has another kind.
    """
    return parts.part(options, "feed_forward", DenseConfig)


def norm_eps(options: LayerOptions) -> float:
    """The epsilon that layer normalisation adds to the variance.

    Raises:
        MisfitError: the norm is not layer normalisation.
    """
    return parts.part(options, "norm", LayerNormConfig).eps


def projections(theirs: tuple[str, ...], ours: str, heads: int, groups: int | None = None) -> WeightRule:
    """Conversion rule of the query, key and value projections of a mixer.

    Args:
        theirs: names of the three projections in the checkpoint.
        ours: name of the layer in the model.
        groups: number of key-value heads; default: ``heads``.
    """
    groups = groups or heads
    return Stacked(theirs, f"{ours}.mixer.qkv", shares=(heads, groups, groups), groups=groups)


def table_rows(positions: LearnedPositionConfig) -> int:
    """Number of rows of a position table."""
    return positions.max_length + positions.offset


def embedding_size(spec: "Spec", hidden_size: int) -> int:
    return spec.model.options.embedding_size or hidden_size


def classifier_processor(config: Mapping[str, Any], max_length: int) -> dict[str, Any]:
    """The processor of a sequence classifier, as in a spec."""
    return classifiers.processor(config, {name: name for name in LABELLED}, max_length=max_length)


def tagging_processor(config: Mapping[str, Any], max_length: int) -> dict[str, Any]:
    """The processor of a classifier of tokens, as in a spec; labels without names are called as in transformers."""
    names = class_names(config) or [f"LABEL_{number}" for number in range(classifiers.class_count(config))]
    return {"token_cls": {"labels": names, "max_length": max_length}}


def language_model(word: str, tied: bool) -> list[WeightRule]:
    """Conversion rules of a language model's output matrix, which may be tied to the word embedding."""
    if tied:
        return [Copy("lm_head.weight", of=word, output=True)]
    return [Same("lm_head.weight", "targets.lm.output.weight", vocabulary=True)]


def gated_decoder(config: Mapping[str, Any], norms: Mapping[str, str]) -> list[WeightRule]:
    """Conversion rules of LLaMA and its descendants: word embedding, attention, gated feed-forward, output matrix.

    Args:
        norms: name of a layer's norm in the checkpoint → name in the model.
    """
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    layer, ours, word = "model.layers.{layer}", "encoder.layers.{layer}", "model.embed_tokens.weight"
    return [
        Same(word, "embedding.parts.word.table.weight", vocabulary=True),
        projections(below(f"{layer}.self_attn", "q_proj", "k_proj", "v_proj"), ours, heads, groups),
        Same(f"{layer}.self_attn.o_proj", f"{ours}.mixer.output"),
        *(Same(f"{layer}.{theirs}", f"{ours}.{own}") for theirs, own in norms.items()),
        Same(f"{layer}.mlp.gate_proj", f"{ours}.feed_forward.gate"),
        Same(f"{layer}.mlp.up_proj", f"{ours}.feed_forward.input"),
        Same(f"{layer}.mlp.down_proj", f"{ours}.feed_forward.output"),
        Same("model.norm", "encoder.norm"),
        *language_model(word, config["tie_word_embeddings"]),
    ]


def causal_processor(length: int, heads: Sequence[str]) -> dict[str, Any]:
    """The processor of a causal model, as in a spec.

    A model without a head makes text vectors, so long texts are cut on the right, as in transformers.
    """
    return {"lm": {"max_length": length, **({} if heads else {"truncation_side": "right"})}}
