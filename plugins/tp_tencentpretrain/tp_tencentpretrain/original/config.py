"""The original's config: a JSON file whose keys are options of its command line, with their defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.original.flags import KNOWN
from tp_tencentpretrain.original.values import check_values

#: The options that define a model, with the original's defaults. None: the original has no default.
MODEL: dict[str, Any] = {
    "embedding": None,
    "tgt_embedding": None,
    "encoder": "transformer",
    "decoder": None,
    "target": None,
    "emb_size": None,
    "hidden_size": None,
    "layers_num": None,
    "decoder_layers_num": None,
    "heads_num": None,
    "feedforward_size": None,
    "attention_head_size": None,
    "local_kv_heads_num": None,
    "hidden_act": None,
    "max_seq_length": 512,
    "mask": "fully_visible",
    "dropout": 0.1,
    "layernorm": "normal",
    "layernorm_eps": 1e-6,
    "layernorm_positioning": "post",
    "feed_forward": "dense",
    "remove_embedding_layernorm": False,
    "remove_transformer_bias": False,
    "remove_attention_scale": False,
    "relative_position_embedding": False,
    "relative_attention_buckets_num": 32,
    "rotary_position_embedding": False,
    "has_residual_attention": False,
    "parameter_sharing": False,
    "factorized_embedding_parameterization": False,
    "share_embedding": False,
    "tie_weights": False,
    "has_lmtarget_bias": False,
    "bidirectional": False,
    "pooling": "first",
    "projection": False,
    "feature_size": None,
    "labels_num": None,
    "stream_0": None,
    "stream_1": None,
    "kernel_size": None,
    "block_size": None,
    "image_height": 256,
    "image_width": 256,
    "patch_size": 16,
    "channels_num": 3,
    "max_audio_frames": 6000,
    "audio_feature_size": 80,
    "conv_layers_num": 2,
    "conv_channels": None,
    "conv_kernel_sizes": [5, 5],
}

#: Options of data and training, which a config may have, too. They do not change what a model computes.
OTHERS: dict[str, Any] = {
    "data_processor": None,
    "tokenizer": None,
    "image_tokenizer": None,
    "image_preprocess": None,
    "audio_preprocess": None,
    "specaugment": None,
    "optimizer": None,
    "scheduler": None,
    "label_smoothing": None,
    "ignore_index": None,
    "seq_length": None,
    "batch_size": None,
    "learning_rate": None,
    "warmup": None,
    "sampling_rate": None,
    "vocab_size": None,
    "use_mp": None,
    "deep_init": None,
    "prefix_lm_loss": None,
}

#: Keys that the original accepts and never uses.
UNUSED = ("alibi_position_embedding", "layer_number_scale")


class OriginalConfig(Mapping[str, Any]):
    """A config of the original, with its defaults.

    Attributes:
        where: the file, for messages.
        given: the keys that the file has.
        read: the keys whose values were read.
        stored_positions: True for a model of an old version, which stores its sinusoidal positions. These are those of
            the paper, from 0.
        unused_segments: True for a model of ChID, all whose positions have the segment 0, padding included.
    """

    stored_positions = False
    unused_segments = False

    def __init__(self, values: Mapping[str, Any], where: str, beside: Mapping[str, Any] | None = None) -> None:
        check_values(values, where)
        self.given, self.where = dict(values), where
        self.read: set[str] = set()
        self._all = {**MODEL, **OTHERS, **(beside or {}), **values}

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return self._all[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def need(self, key: str) -> Any:
        """The value of a key that the model needs. Its type is that of :mod:`tp_tencentpretrain.original.values`.

        Raises:
            TPError: the key is missing.
        """
        value = self.get(key)
        if value is None:
            raise TPError(f"{self.where}: '{key}' is missing; the original needs it for this model")
        return value

    def one_of(self, key: str, *known: str) -> str:
        """The value of a key with a few possible values.

        Raises:
            TPError: it is another one.
        """
        value = self.get(key)
        if value in known:
            return str(value)
        near = did_you_mean(str(value), known) or f"known: {', '.join(known)}"
        raise TPError(f"{self.where}: '{key}' is {json.dumps(value)}; {near}")

    def names(self, key: str) -> list[str]:
        """A list of names; a single one may be written without a list."""
        value = self.need(key)
        return [value] if isinstance(value, str) else [str(each) for each in value]

    def known(self) -> frozenset[str]:
        """All keys that a config may have."""
        return frozenset(self._all)

    def with_target(self, target: Any) -> OriginalConfig:
        """The config with another target."""
        return self._with("target", target)

    def without_decoder(self) -> OriginalConfig:
        """The config without a decoder, as heads of fine-tuning read it."""
        return self._with("decoder", None)._with("tgt_embedding", None)._with("share_embedding", False)

    def with_processor(self, name: str) -> OriginalConfig:
        """The config with another data processor."""
        return self._with("data_processor", name)

    def _with(self, key: str, value: Any) -> OriginalConfig:
        found = OriginalConfig({**self._all, key: value}, self.where)
        found.given = dict(self.given)
        found.stored_positions, found.unused_segments = self.stored_positions, self.unused_segments
        found.read = self.read
        return found

    def stream(self, key: str) -> OriginalConfig:
        """The config of a stream: its own keys, then those beside the streams."""
        beside = {name: value for name, value in self._all.items() if name not in ("stream_0", "stream_1")}
        found = OriginalConfig(self.need(key), f"{self.where}: {key}", beside)
        found.stored_positions, found.read = self.stored_positions, self.read
        return found

    def notes(self) -> list[str]:
        """Notes on keys that the original does not use.

        Raises:
            TPError: a key is unknown to the original, and looks like a misspelling of one that it knows.
        """
        known = {*MODEL, *OTHERS, *KNOWN}
        found = []
        for key in self.given:
            if key in UNUSED:
                found.append(f"{self.where}: the original ignores '{key}', and so does the converted model")
            elif key not in known:
                near = did_you_mean(key, known)
                if near:
                    raise TPError(f"{self.where}: unknown key '{key}'; {near}")
                found.append(f"{self.where}: '{key}' is no option of the original and is ignored")
        for key in ("stream_0", "stream_1"):
            if isinstance(self._all.get(key), dict):
                found += self.stream(key).notes()
        return list(dict.fromkeys(found))


def read_original(path: Path) -> OriginalConfig:
    """Read a config.

    Raises:
        TPError: the file is missing or no JSON object.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise TPError(f"{path}: there is no such file; expected the original's config, a JSON file") from None
    except (OSError, ValueError) as error:
        raise TPError(f"{path}: this is no JSON file: {error}") from None
    if not isinstance(content, dict):
        raise TPError(f"{path}: expected a JSON object with the options of a model")
    if "model_type" in content or "architectures" in content:
        raise TPError(f"{path}: this is a config of Hugging Face; give the original's own config")
    return OriginalConfig(_modern(content), str(path))


#: UER's names of targets, which are also names of data processors → the targets of today.
_OLD_TARGETS = {
    **{name: ["mlm", "sp"] for name in ("bert", "albert")},
    **{name: ["lm"] for name in ("seq2seq", "t5", "gsg", "bart", "prefixlm")},
}

_WITH_DECODER = ("seq2seq", "t5", "gsg", "bart")


def _modern(values: dict[str, Any]) -> dict[str, Any]:
    """The config in the form of today: UER has one name for several embeddings, and for several targets."""
    found = dict(values)
    for key in ("stream_0", "stream_1"):
        if isinstance(found.get(key), dict):
            found[key] = _modern(found[key])
    for key in ("embedding", "tgt_embedding"):
        name = found.get(key)
        if isinstance(name, str) and name.startswith("word_") and name != "word_patch":
            found[key] = name.split("_")
    target = found.get("target")
    if isinstance(target, str) and target in _OLD_TARGETS:
        found["target"] = _OLD_TARGETS[target]
        found.setdefault("data_processor", "mt" if target == "seq2seq" else target)
        if target in _WITH_DECODER:
            found.setdefault("decoder", "transformer")
    return found
