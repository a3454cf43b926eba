"""The types of the values of a config."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tp_core.errors import TPError

#: All data processors of the original.
DATA_PROCESSORS = (
    *("bert", "lm", "mlm", "bilm", "albert", "mt", "t5", "cls", "prefixlm", "gsg", "bart", "cls_mlm"),
    *("vit", "vilt", "clip", "s2t", "beit", "dalle", "llm_pretrain", "llm_sft"),
)


class Kind(NamedTuple):
    """A type of values.

    Attributes:
        expected: the type in words.
        fits: true for its values.
        optional: true if the value may be null.
    """

    expected: str
    fits: Callable[[Any], bool]
    optional: bool = False


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


_SIZE = Kind("an integer above 0", _size)
_SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
_NAME = Kind("a text", lambda value: isinstance(value, str))
_NAMES = Kind("a name or a list of names", lambda value: isinstance(value, str) or _names(value), optional=True)
_STREAM = Kind("a mapping", lambda value: isinstance(value, dict), optional=True)
_STEPS = Kind(
    "a list of names", lambda value: isinstance(value, list) and all(isinstance(e, str) for e in value), optional=True
)
_SHARE = Kind("a number from 0, below 1", lambda value: _number(value) and 0 <= value < 1)
_EPSILON = Kind("a number, 0 or more", lambda value: _number(value) and value >= 0)

_SIZES = (
    *("max_seq_length", "relative_attention_buckets_num", "image_height", "image_width", "patch_size", "channels_num"),
    *("max_audio_frames", "audio_feature_size", "conv_layers_num"),
)
_OPTIONAL_SIZES = (
    *("emb_size", "hidden_size", "layers_num", "decoder_layers_num", "heads_num", "feedforward_size", "labels_num"),
    *("attention_head_size", "local_kv_heads_num", "feature_size", "kernel_size", "block_size", "seq_length"),
)
_SWITCHES = (
    *("remove_embedding_layernorm", "remove_transformer_bias", "remove_attention_scale", "tie_weights"),
    *("relative_position_embedding", "rotary_position_embedding", "has_residual_attention", "parameter_sharing"),
    *("factorized_embedding_parameterization", "share_embedding", "has_lmtarget_bias", "bidirectional", "projection"),
)

#: Key → the type of its values. Lists of sizes are checked where they are read.
KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(_SIZES, _SIZE),
    **dict.fromkeys(_OPTIONAL_SIZES, _SIZE._replace(optional=True)),
    **dict.fromkeys(_SWITCHES, _SWITCH),
    **dict.fromkeys(("encoder", "mask", "layernorm", "layernorm_positioning", "feed_forward", "pooling"), _NAME),
    **dict.fromkeys(("decoder", "hidden_act"), _NAME._replace(optional=True)),
    **dict.fromkeys(("embedding", "tgt_embedding"), _NAMES),
    "target": Kind("a name or a list of names", lambda value: isinstance(value, (str, list)), optional=True),
    **dict.fromkeys(("stream_0", "stream_1"), _STREAM),
    "data_processor": Kind(
        f"one of {', '.join(DATA_PROCESSORS)}", lambda value: value in DATA_PROCESSORS, optional=True
    ),
    **dict.fromkeys(("image_preprocess", "audio_preprocess"), _STEPS),
    "sampling_rate": _SIZE._replace(optional=True),
    "image_tokenizer": _STREAM,
    "dropout": _SHARE,
    "layernorm_eps": _EPSILON,
    "label_smoothing": _SHARE._replace(optional=True),
}


def check_values(values: Mapping[str, Any], where: str) -> None:
    """Check the types of a config's values.

    Raises:
        TPError: a value has another type than the original reads.
    """
    for message in _mistakes(values):
        raise TPError(f"{where}: {message}")


def _mistakes(values: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in KINDS.items():
        value = values.get(key, ...)
        if value is ... or (value is None and kind.optional) or kind.fits(value):
            continue
        yield f"'{key}' is {json.dumps(value)}; expected {kind.expected}"
    heads, hidden = values.get("heads_num"), values.get("hidden_size")
    if heads and hidden and heads > hidden and not values.get("attention_head_size"):
        yield f"'heads_num' is {heads}, more than 'hidden_size', {hidden}"
