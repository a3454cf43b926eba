"""The parts that converters of wav2vec 2.0, HuBERT, WavLM and the Conformer share."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_audio.converters import common
from tp_audio.embeddings.conv_pos_options import ConvolutionalPositionConfig
from tp_audio.embeddings.waveform_options import WaveformConfig
from tp_audio.processors.pretraining_options import Wav2Vec2ProcessorConfig
from tp_audio.processors.waveform_options import WaveformProcessorConfig
from tp_audio.targets.ctc_options import CTCConfig
from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.activations import activation, activation_name
from tp_core.interop.keys import mark
from tp_core.interop.rules import Copy, Same, Stacked, WeightRule, below
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.options.converter import ConverterConfig

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.spec.schema import Spec


class SpeechFamilyConfig(ConverterConfig):
    """Base class of wav2vec 2.0, HuBERT and WavLM, with the shared convolutions, positions and layers."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 32,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout": 0.1,
        "activation_dropout": 0.1,
        "attention_dropout": 0.1,
        "feat_proj_dropout": 0.0,
        "final_dropout": 0.1,
        "layerdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-5,
        "feat_extract_norm": "group",
        "feat_extract_activation": "gelu",
        "conv_dim": [512] * 7,
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_bias": False,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "do_stable_layer_norm": False,
        "apply_spec_augment": True,
        "mask_time_prob": 0.05,
        "mask_time_length": 10,
        "mask_time_min_masks": 2,
        "mask_feature_prob": 0.0,
        "mask_feature_length": 10,
        "mask_feature_min_masks": 0,
        "pad_token_id": 0,
        "ctc_loss_reduction": "sum",
    }
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {"add_adapter": (False,), "adapter_attn_dim": (None,)}
    irrelevant: ClassVar[frozenset[str]] = frozenset(
        {
            # For heads without a converter.
            *("use_weighted_layer_sum", "classifier_proj_size", "xvector_output_dim"),
            *("tdnn_dim", "tdnn_kernel", "tdnn_dilation"),
            # For adapters, which are only used with add_adapter.
            *("adapter_kernel_size", "adapter_stride", "num_adapter_layers", "output_hidden_size"),
            # From fairseq, the source of the first checkpoints. transformers has never read these keys.
            *("mask_channel_length", "mask_channel_min_space", "mask_channel_other", "mask_channel_prob"),
            *("mask_channel_selection", "mask_time_min_space", "mask_time_other", "mask_time_selection"),
            *("no_mask_channel_overlap", "no_mask_time_overlap", "freeze_feat_extract_train"),
            *("feat_extract_dropout", "hidden_dropout_prob"),
            # Only affects training. The loss in tp always ignores texts that cannot be aligned.
            "ctc_zero_infinity",
            # The model has no word embedding.
            "tie_word_embeddings",
        }
    )
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ctc": ("final_dropout", "ctc_loss_reduction"),
        "wav2vec2": (
            *("feat_quantizer_dropout", "num_codevectors_per_group", "num_codevector_groups", "codevector_dim"),
            *("proj_codevector_dim", "contrastive_logits_temperature", "diversity_loss_weight", "num_negatives"),
        ),
    }
    notes: ClassVar[tuple[str, ...]] = (
        "as in transformers, the first layer's group norm of base models includes padding: in a padded batch, a "
        "recording's states depend on the amount of padding (mask_padding: false)",
        "layerdrop becomes drop_path: in training, sub-layers are skipped per sample, not layers per batch",
    )

    # -- config.json → spec --------------------------------------------------------------------------------------

    def to_spec(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
        return {
            "hidden_size": config["hidden_size"],
            "vocab_size": config["vocab_size"],
            "norm": {"layernorm": {"eps": config["layer_norm_eps"]}},
            "init_std": config["initializer_range"],
            "embedding": {
                "modules": [{"waveform": self.waveform(config)}, *self.positions(config)],
                **({"norm": "none"} if config["do_stable_layer_norm"] else {}),
                "dropout": config["hidden_dropout"],
            },
            "encoder": self.encoder(config),
            "target": [{head: self.head(config, head)} for head in self.architectures[architecture]],
        }

    def waveform(self, config: Mapping[str, Any]) -> dict[str, Any]:
        layers = config.get("num_feat_extract_layers")
        if layers not in (None, len(config["conv_dim"])):
            message = f"'num_feat_extract_layers' is {layers}, but 'conv_dim' has {len(config['conv_dim'])} numbers"
            raise TPError(f"config.json: {message}")
        return {
            "channels": list(config["conv_dim"]),
            "kernels": list(config["conv_kernel"]),
            "strides": list(config["conv_stride"]),
            "conv_bias": config["conv_bias"],
            "conv_norm": parts.needs(config, "feat_extract_norm", {"group": "group", "layer": "layer"}),
            "mask_padding": False,
            "activation": activation(config, "feat_extract_activation"),
            "projection_norm": config.get("feat_proj_layer_norm", True),
            "norm_eps": config["layer_norm_eps"],
            "dropout": config["feat_proj_dropout"],
            "mask_vector": max(config["mask_time_prob"], config["mask_feature_prob"]) > 0,
            "mask_feature_prob": config["mask_feature_prob"] if config["apply_spec_augment"] else 0.0,
            "mask_feature_length": config["mask_feature_length"],
            "mask_feature_min_masks": config["mask_feature_min_masks"],
        }

    def positions(self, config: Mapping[str, Any]) -> list[Any]:
        """The embedding modules after the waveform embedding."""
        options = {
            "kernel_size": config["num_conv_pos_embeddings"],
            "groups": config["num_conv_pos_embedding_groups"],
            "activation": activation(config, "feat_extract_activation"),
        }
        return [{"conv_pos": options}]

    def layers(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the encoder's layers."""
        name, rate = activation(config, "hidden_act"), config["activation_dropout"]
        return {
            "mixer": {"attention": self.attention(config)},
            "feed_forward": {"dense": {"activation": name, "activation_dropout": rate}},
            "num_layers": config["num_hidden_layers"],
            "num_heads": config["num_attention_heads"],
            "feed_forward_size": config["intermediate_size"],
            "norm_position": "pre" if config["do_stable_layer_norm"] else "post",
            "dropout": config["hidden_dropout"],
            "drop_path": config["layerdrop"],
        }

    def attention(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the layers' attention."""
        return {"dropout": config["attention_dropout"]}

    def encoder(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"transformer": self.layers(config)}

    def head(self, config: Mapping[str, Any], head: str) -> dict[str, Any]:
        """The options of the target for a head."""
        average = parts.needs(config, "ctc_loss_reduction", {"mean": "mean", "sum": "tokens"})
        return {"blank": config["pad_token_id"], "dropout": config["final_dropout"], "average": average}

    # -- spec → config.json --------------------------------------------------------------------------------------

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        waveform = parts.embedding(spec, WaveformConfig)
        ctc = parts.target(spec, CTCConfig)
        return {
            "vocab_size": spec.model.vocab_size,
            "layer_norm_eps": waveform.norm_eps,
            "feat_extract_norm": waveform.conv_norm,
            "feat_extract_activation": activation_name(waveform.activation),
            "conv_dim": waveform.channels,
            "conv_kernel": waveform.kernels,
            "conv_stride": waveform.strides,
            "conv_bias": waveform.conv_bias,
            "feat_proj_dropout": waveform.dropout,
            **self.positions_config(spec),
            **_masks_config(spec, waveform),
            **(_ctc_config(ctc) if ctc is not None else {}),
            **self.encoder_config(spec),
        }

    def positions_config(self, spec: "Spec") -> dict[str, Any]:
        positions = parts.embedding(spec, ConvolutionalPositionConfig)
        return {"num_conv_pos_embeddings": positions.kernel_size, "num_conv_pos_embedding_groups": positions.groups}

    def encoder_config(self, spec: "Spec") -> dict[str, Any]:
        encoder = parts.encoder(spec, TransformerConfig)
        size, (attention, dense) = encoder.hidden_size, common.layer_parts(encoder)
        return {
            "hidden_size": size,
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": attention.num_heads,
            "intermediate_size": dense.inner_size(size),
            "hidden_act": activation_name(dense.activation),
            "do_stable_layer_norm": encoder.norm_position == "pre",
            "hidden_dropout": encoder.dropout,
            "attention_dropout": attention.dropout,
            "activation_dropout": dense.activation_dropout,
            "layerdrop": encoder.drop_path,
            "initializer_range": encoder.init_std,
        }

    def processor(self, config: Mapping[str, Any], architecture: str) -> dict[str, Any] | None:
        heads = self.architectures[architecture]
        probability = float(config["mask_time_prob"]) if config["apply_spec_augment"] else 0.0
        masks: dict[str, Any] = {
            "mask_time_prob": probability,
            "mask_time_length": config["mask_time_length"],
            "mask_time_min_masks": config["mask_time_min_masks"] if probability else 0,
        }
        if not probability:
            mark(config, "mask_time_length", "mask_time_min_masks")
        if "wav2vec2" in heads:
            # Pre-training needs masks. In transformers, the caller provides them, so a zero probability is ignored.
            return {"wav2vec2": {**(masks if probability else {}), "num_negatives": config["num_negatives"]}}
        return {"waveform_ctc" if "ctc" in heads else "waveform_cls": masks}

    # -- weights -------------------------------------------------------------------------------------------------

    def front(self, config: "Keys") -> list[WeightRule]:
        """The rules of the parts before the layers."""
        theirs, ours = self.prefix, "embedding.parts.waveform"
        norm = "encoder.norm" if config["do_stable_layer_norm"] else "embedding.norm"
        return [
            Same(f"{theirs}feature_extractor.conv_layers.{{layer}}.conv", f"{ours}.layers.{{layer}}"),
            Same(f"{theirs}feature_extractor.conv_layers.{{layer}}.layer_norm", f"{ours}.norms.{{layer}}"),
            Same(f"{theirs}feature_projection.layer_norm", f"{ours}.norm"),
            Same(f"{theirs}feature_projection.projection", f"{ours}.projection"),
            Same(f"{theirs}masked_spec_embed", f"{ours}.mask_vector"),
            Same(f"{theirs}encoder.layer_norm", norm),
            *self.position_rules(config),
        ]

    def position_rules(self, config: Mapping[str, Any]) -> list[WeightRule]:
        convolution, ours = f"{self.prefix}encoder.pos_conv_embed.conv", "embedding.parts.conv_pos"
        norm = f"{convolution}.parametrizations.weight"
        return [
            Same(f"{norm}.original0", f"{ours}.magnitude"),
            Same(f"{norm}.original1", f"{ours}.direction"),
            Same(f"{convolution}.bias", f"{ours}.bias"),
            # The names in PyTorch before version 2.
            Copy(f"{convolution}.weight_g", of=f"{norm}.original0"),
            Copy(f"{convolution}.weight_v", of=f"{norm}.original1"),
        ]

    def body(self, config: Mapping[str, Any]) -> list[WeightRule]:
        """The rules of the layers."""
        layer, ours = f"{self.prefix}encoder.layers.{{layer}}", "encoder.layers.{layer}"
        projections, heads = below(f"{layer}.attention", "q_proj", "k_proj", "v_proj"), config["num_attention_heads"]
        norm = "before" if config["do_stable_layer_norm"] else "after"
        return [
            Stacked(projections, f"{ours}.mixer.qkv", groups=heads),
            Same(f"{layer}.attention.out_proj", f"{ours}.mixer.output"),
            Same(f"{layer}.layer_norm", f"{ours}.mixer_residual.{norm}"),
            Same(f"{layer}.feed_forward.intermediate_dense", f"{ours}.feed_forward.input"),
            Same(f"{layer}.feed_forward.output_dense", f"{ours}.feed_forward.output"),
            Same(f"{layer}.final_layer_norm", f"{ours}.feed_forward_residual.{norm}"),
        ]

    def weights(self, config: "Keys") -> Sequence[WeightRule]:
        return [*self.front(config), *self.body(config), Same("lm_head", "targets.ctc.output")]


def _masks_config(spec: "Spec", waveform: WaveformConfig) -> dict[str, Any]:
    """The keys of masks. In tp, feature masks are options of the embedding and time masks of the processor."""
    found = {
        "apply_spec_augment": True,
        "mask_feature_prob": waveform.mask_feature_prob if waveform.mask_vector else 0.0,
        "mask_feature_length": waveform.mask_feature_length,
        "mask_feature_min_masks": waveform.mask_feature_min_masks,
    }
    processor = None if spec.data.processor is None else spec.data.processor.config
    if isinstance(processor, WaveformProcessorConfig):
        found |= {
            "mask_time_prob": processor.mask_time_prob,
            "mask_time_length": processor.mask_time_length,
            "mask_time_min_masks": processor.mask_time_min_masks,
        }
    if isinstance(processor, Wav2Vec2ProcessorConfig):
        found["num_negatives"] = processor.num_negatives
    if not waveform.mask_vector:
        found["mask_time_prob"] = 0.0
    elif not found.get("mask_time_prob", True) and not found["mask_feature_prob"]:
        # transformers only creates the mask vector if a probability is above 0. Another key turns masking off.
        found |= {"apply_spec_augment": False, "mask_time_prob": 0.05}
    return found


def _ctc_config(ctc: CTCConfig) -> dict[str, Any]:
    reduction = "mean" if ctc.average == "mean" else "sum"
    return {"pad_token_id": ctc.blank, "final_dropout": ctc.dropout, "ctc_loss_reduction": reduction}
