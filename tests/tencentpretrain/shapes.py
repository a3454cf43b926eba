"""Small configs of every shape of the original: those of its published configs, with small sizes, and others."""

from __future__ import annotations

from typing import Any

#: Number of tokens of the models with words.
TOKENS = 37

_SMALL = {
    "emb_size": 32,
    "hidden_size": 32,
    "feedforward_size": 48,
    "heads_num": 4,
    "layers_num": 2,
    "hidden_act": "gelu",
    "max_seq_length": 40,
    "dropout": 0.1,
    "encoder": "transformer",
    "mask": "fully_visible",
}
_TEXT = {"embedding": ["word", "pos", "seg"], **_SMALL}
_CAUSAL = {**_SMALL, "embedding": ["word"], "mask": "causal", "target": ["lm"], "data_processor": "lm"}
_LLAMA = {
    **_CAUSAL,
    "hidden_act": "silu",
    "feed_forward": "gated",
    "layernorm": "rms",
    "layernorm_positioning": "pre",
    "remove_transformer_bias": True,
    "remove_embedding_layernorm": True,
    "rotary_position_embedding": True,
}
_T5 = {
    **_SMALL,
    "embedding": ["word"],
    "tgt_embedding": ["word"],
    "decoder": "transformer",
    "decoder_layers_num": 2,
    "relative_position_embedding": True,
    "remove_embedding_layernorm": True,
    "share_embedding": True,
    "layernorm_positioning": "pre",
    "layernorm": "t5",
    "remove_attention_scale": True,
    "remove_transformer_bias": True,
    "target": ["lm"],
    "data_processor": "t5",
}
_PICTURE = {**_SMALL, "image_height": 16, "image_width": 16, "patch_size": 4, "max_seq_length": 17}
_RECURRENT = {
    "emb_size": 12,
    "hidden_size": 16,
    "layers_num": 2,
    "dropout": 0.1,
    "embedding": ["word"],
    "remove_embedding_layernorm": True,
    "target": ["lm"],
    "data_processor": "lm",
}
_S2T = {
    **_SMALL,
    "hidden_act": "relu",
    "embedding": ["speech", "sinusoidalpos"],
    "tgt_embedding": ["word", "sinusoidalpos"],
    "decoder": "transformer",
    "decoder_layers_num": 1,
    "conv_channels": [24, 64],
    "conv_kernel_sizes": [5, 3],
    "audio_feature_size": 10,
    "layernorm_positioning": "pre",
    "remove_embedding_layernorm": True,
    "tie_weights": True,
    "label_smoothing": 0.1,
    "target": ["lm"],
    "data_processor": "s2t",
}
_BERT_STREAM = {key: value for key, value in _TEXT.items() if key != "dropout"}
_DUAL = {"embedding": ["dual"], "encoder": "dual", "dropout": 0.1}

SHAPES: dict[str, dict[str, Any]] = {
    "bert": {**_TEXT, "target": ["mlm", "sp"], "tie_weights": True, "data_processor": "bert"},
    "roberta": {**_TEXT, "target": ["mlm"], "tie_weights": True, "data_processor": "mlm"},
    "xlm-roberta": {**_TEXT, "target": ["mlm"], "data_processor": "mlm"},
    "albert": {
        **_TEXT,
        "emb_size": 16,
        "hidden_act": "relu",
        "factorized_embedding_parameterization": True,
        "parameter_sharing": True,
        "target": ["mlm", "sp"],
        "data_processor": "albert",
    },
    "megatron bert": {**_TEXT, "layernorm_positioning": "pre", "target": ["mlm", "sp"], "data_processor": "bert"},
    "realformer": {**_TEXT, "has_residual_attention": True, "target": ["mlm"], "tie_weights": True},
    "gpt2": {
        **_CAUSAL,
        "embedding": ["word", "pos"],
        "hidden_act": "gelu_fast",
        "remove_embedding_layernorm": True,
        "layernorm_positioning": "pre",
        "tie_weights": True,
    },
    "llama": _LLAMA,
    "llama2 70b": {**_LLAMA, "local_kv_heads_num": 2, "layernorm_eps": 1e-5},
    "bloom": {
        **_CAUSAL,
        "hidden_act": "gelu_fast",
        "layernorm_positioning": "pre",
        "alibi_position_embedding": True,
        "layer_number_scale": True,
        "remove_transformer_bias": False,
        "tie_weights": True,
    },
    "unilm": {**_TEXT, "mask": "causal_with_prefix", "target": ["lm"], "data_processor": "prefixlm"},
    "talk2face": {
        **_TEXT,
        "mask": "prefix",
        "layernorm_positioning": "pre",
        "remove_embedding_layernorm": True,
        "target": ["lm"],
    },
    "dall-e": {**_TEXT, "mask": "prefix", "target": ["lm"], "data_processor": "dalle", "has_lmtarget_bias": True},
    "t5": {**_T5, "hidden_act": "relu", "tie_weights": True},
    "t5 v1.1": {**_T5, "hidden_act": "gelu_fast", "feed_forward": "gated", "attention_head_size": 6},
    "t5 with a causal encoder": {**_T5, "mask": "causal"},
    "t5 with a prefix in its encoder": {**_T5, "embedding": ["word", "seg"], "mask": "causal_with_prefix"},
    "t5 with another epsilon": {**_T5, "layernorm_eps": 1e-4},
    "t5 with a scale": {**_T5, "remove_attention_scale": False, "relative_attention_buckets_num": 8},
    "bart": {
        **_SMALL,
        "embedding": ["word", "pos"],
        "tgt_embedding": ["word", "pos"],
        "decoder": "transformer",
        "decoder_layers_num": 1,
        "share_embedding": True,
        "tie_weights": True,
        "has_lmtarget_bias": True,
        "target": ["lm"],
        "data_processor": "bart",
    },
    "pegasus": {
        **_SMALL,
        "hidden_act": "relu",
        "embedding": ["word", "sinusoidalpos"],
        "tgt_embedding": ["word", "sinusoidalpos"],
        "decoder": "transformer",
        "decoder_layers_num": 2,
        "layernorm_positioning": "pre",
        "remove_embedding_layernorm": True,
        "share_embedding": True,
        "tie_weights": True,
        "target": ["lm"],
        "data_processor": "gsg",
    },
    "transformer": {
        **_SMALL,
        "hidden_act": "relu",
        "embedding": ["word", "sinusoidalpos"],
        "tgt_embedding": ["word", "sinusoidalpos"],
        "decoder": "transformer",
        "decoder_layers_num": 2,
        "tie_weights": True,
        "target": ["lm"],
        "data_processor": "mt",
    },
    "decoder with rms norms": {**_T5, "layernorm": "rms", "share_embedding": False},
    "vit": {
        **_PICTURE,
        "embedding": ["patch", "pos"],
        "remove_embedding_layernorm": True,
        "layernorm_positioning": "pre",
        "target": ["cls"],
        "labels_num": 5,
        "data_processor": "vit",
    },
    "vit of a wide picture": {
        **_PICTURE,
        "image_width": 24,
        "max_seq_length": 40,
        "embedding": ["patch", "pos"],
        "target": ["cls"],
        "labels_num": 3,
        "pooling": "mean",
        "data_processor": "vit",
    },
    "beit": {**_PICTURE, "embedding": ["masked_patch", "pos"], "target": ["mlm"], "data_processor": "beit"},
    "vilt": {
        **_PICTURE,
        "embedding": ["word_patch", "pos", "seg"],
        "max_seq_length": 40,
        "target": ["mlm", "sp"],
        "data_processor": "vilt",
        "seq_length": 12,
    },
    "s2t": _S2T,
    "s2t of three convolutions": {
        **_S2T,
        "conv_channels": [24, 24, 64],
        "conv_kernel_sizes": [5, 3, 3],
        "conv_layers_num": 3,
    },
    "clip": {
        **_DUAL,
        "dropout": 0.0,
        "stream_0": {**_BERT_STREAM, "embedding": ["word", "pos"], "pooling": "first"},
        "stream_1": {
            **{
                key: value
                for key, value in _PICTURE.items()
                if key not in ("image_height", "image_width", "patch_size")
            },
            "emb_size": 24,
            "hidden_size": 24,
            "embedding": ["patch", "pos"],
            "remove_embedding_layernorm": True,
            "layernorm_positioning": "pre",
            "hidden_act": "gelu_fast",
            "pooling": "first",
        },
        "image_height": 16,
        "image_width": 16,
        "patch_size": 4,
        "projection": True,
        "feature_size": 20,
        "target": ["clr"],
        "tie_weights": False,
        "data_processor": "clip",
    },
    "sbert": {**_DUAL, "stream_0": _BERT_STREAM, "stream_1": _BERT_STREAM, "pooling": "first", "tie_weights": True},
    "siamese lstm": {
        **_DUAL,
        **{
            f"stream_{number}": {
                "emb_size": 12,
                "hidden_size": 16,
                "layers_num": 2,
                "embedding": ["word"],
                "encoder": "lstm",
            }
            for number in (0, 1)
        },
        "pooling": "mean",
        "tie_weights": True,
    },
    "gatedcnn": {**_RECURRENT, "encoder": "gatedcnn", "layers_num": 5, "kernel_size": 3, "block_size": 2},
    "bilstm": {**_RECURRENT, "encoder": "bilstm", "target": ["bilm"], "data_processor": "bilm"},
    **{kind: {**_RECURRENT, "encoder": kind} for kind in ("rnn", "lstm", "gru")},
    **{
        f"{kind} in both directions": {**_RECURRENT, "encoder": kind, "bidirectional": True, "target": []}
        for kind in ("rnn", "lstm", "gru")
    },
    **{kind: {**_RECURRENT, "encoder": kind, "target": []} for kind in ("birnn", "bigru")},
    "lstm with segments": {
        **_RECURRENT,
        "embedding": ["word", "pos", "seg"],
        "remove_embedding_layernorm": False,
        "encoder": "lstm",
        "bidirectional": True,
        "target": [],
        "max_seq_length": 40,
    },
}
