"""The converter of ELECTRA's discriminator. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core import ConverterConfig
from tp_core.interop import parts
from tp_core.interop.rules import Ignored, Same, Stacked, WeightRule, below
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig

if TYPE_CHECKING:
    from tp_core import Spec
    from tp_core.interop.keys import Keys


class ElectraConverterConfig(ConverterConfig):
    """ELECTRA's discriminator (Clark et al., 2020)."""

    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ElectraForPreTraining": ("acme.rtd",),
        "ElectraModel": (),
    }
    prefix: ClassVar[str] = "electra."
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 30522,
        "embedding_size": 128,
        "hidden_size": 256,
        "num_hidden_layers": 12,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
    }
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            # For heads that are not converted.
            *("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout", "classifier_dropout"),
            # For the generator's output matrix.
            "tie_word_embeddings",
        }
    )

    def to_spec(self, config: Keys, architecture: str) -> dict[str, Any]:
        positions = {"max_length": config["max_position_embeddings"]}
        return {
            "hidden_size": config["hidden_size"],
            "embedding_size": config["embedding_size"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
            "init_std": config["initializer_range"],
            "embedding": {
                "modules": ["word", {"pos": positions}, {"seg": {"num_segments": config["type_vocab_size"]}}],
                "dropout": config["hidden_dropout_prob"],
            },
            "encoder": {
                "transformer": {
                    "num_layers": config["num_hidden_layers"],
                    "num_heads": config["num_attention_heads"],
                    "feed_forward_size": config["intermediate_size"],
                    "dropout": config["hidden_dropout_prob"],
                    "mixer": {"attention": {"dropout": config["attention_probs_dropout_prob"]}},
                }
            },
            "target": list(self.architectures[architecture]),
        }

    def to_config(self, spec: Spec, architecture: str) -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        positions = parts.embedding(spec, LearnedPositionConfig)
        segments: list[Any] = [each.config for each in parts.component(spec).modules if each.name == "seg"]
        if not segments:
            raise parts.MisfitError(["model.embedding has no seg, but ELECTRA has segments"])
        return {
            "vocab_size": spec.model.vocab_size,
            "embedding_size": spec.model.options.embedding_size or encoder.hidden_size,
            "hidden_size": encoder.hidden_size,
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": encoder.num_heads,
            "intermediate_size": encoder.feed_forward_size or 4 * encoder.hidden_size,
            "hidden_dropout_prob": encoder.dropout,
            "attention_probs_dropout_prob": parts.part(encoder, "mixer", AttentionConfig).dropout,
            "max_position_embeddings": positions.max_length,
            "type_vocab_size": segments[0].num_segments,
            "initializer_range": encoder.init_std,
            "layer_norm_eps": parts.part(encoder, "norm", LayerNormConfig).eps,
        }

    def processor(self, config: Keys, architecture: str) -> dict[str, Any] | None:
        return {"acme.rtd": {"max_length": min(config["max_position_embeddings"], 512)}}

    def weights(self, config: Keys) -> Sequence[WeightRule]:
        theirs, layer, ours = "electra.embeddings", "electra.encoder.layer.{layer}", "encoder.layers.{layer}"
        return [
            Same(f"{theirs}.word_embeddings.weight", "embedding.parts.word.table.weight", vocabulary=True),
            Same(f"{theirs}.position_embeddings.weight", "embedding.parts.pos.table.weight"),
            Same(f"{theirs}.token_type_embeddings.weight", "embedding.parts.seg.table.weight"),
            Same(f"{theirs}.LayerNorm", "embedding.norm"),
            Ignored(f"{theirs}.position_ids"),
            Ignored(f"{theirs}.token_type_ids"),
            Same("electra.embeddings_project", "encoder.projection"),
            # The rows of tp's projection are grouped by head: query, key and value of each.
            Stacked(
                below(f"{layer}.attention.self", "query", "key", "value"),
                f"{ours}.mixer.qkv",
                groups=config["num_attention_heads"],
            ),
            Same(f"{layer}.attention.output.dense", f"{ours}.mixer.output"),
            Same(f"{layer}.attention.output.LayerNorm", f"{ours}.mixer_residual.after"),
            Same(f"{layer}.intermediate.dense", f"{ours}.feed_forward.input"),
            Same(f"{layer}.output.dense", f"{ours}.feed_forward.output"),
            Same(f"{layer}.output.LayerNorm", f"{ours}.feed_forward_residual.after"),
            # In weight names, a colon replaces the dot in a module's name.
            Same("discriminator_predictions.dense", "targets.acme:rtd.dense"),
            Same("discriminator_predictions.dense_prediction", "targets.acme:rtd.output"),
        ]
