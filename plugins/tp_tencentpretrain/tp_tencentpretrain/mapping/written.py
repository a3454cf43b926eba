"""The original's config for a model of tp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.mapping.transformer import ACTIVATIONS
from tp_tencentpretrain.original.config import MODEL

Tree = Mapping[str, Any]

#: Our names of embeddings → the original's.
_EMBEDDINGS = {
    **{name: name for name in ("word", "pos", "patch", "masked_patch", "word_patch", "speech")},
    "patch_pos": "pos",
    "padded_segments": "seg",
    "sinusoidal": "sinusoidalpos",
}

_NAMES = {ours: theirs for theirs, ours in ACTIVATIONS.items()}


def config_of(model: Tree, task: str | None = None) -> dict[str, Any]:
    """The original's config for the ``model:`` part of a resolved spec.

    The caller converts it back and compares. Options that the original does not have are left out here.

    Args:
        model: the part of the spec, as ``Spec.dump`` gives it.
        task: the task of a fine-tuned model, whose head the config does not describe; None for a pre-trained model.

    Raises:
        TPError: the model has a part that the original does not have.
    """
    config = _dual(model) if "streams" in model else _single(model)
    rows = model.get("target_vocab_size") or model.get("vocab_size") or 0
    config |= _targets(model.get("target", []), rows) if task is None else _pooling_of(model)
    return {key: value for key, value in config.items() if value != MODEL.get(key)}


def _single(model: Tree) -> dict[str, Any]:
    config = _embedding(model["embedding"]) | _encoder(model["encoder"])
    config["dropout"] = float(model["embedding"]["dropout"])
    config.setdefault("emb_size", model.get("embedding_size") or config["hidden_size"])
    if "conv_channels" in config:
        config["conv_channels"] = [*config["conv_channels"], 2 * config["emb_size"]]
    if config["encoder"] == "transformer" and config["emb_size"] != config["hidden_size"]:
        config["factorized_embedding_parameterization"] = True
    if model.get("decoder"):
        decoder = _one(model["decoder"])
        config |= {"decoder": _known(decoder[0], ("transformer",), "decoder")}
        config["decoder_layers_num"] = decoder[1]["num_layers"]
        target = _embedding(model["target_embedding"])
        config["tgt_embedding"] = target.pop("embedding")
        config |= target
        config["share_embedding"] = bool(model.get("share_embeddings"))
        if config.get("layernorm") == "rms" and "rmsnorm" in decoder[1]["norm"]:
            config["layernorm"] = "t5"  # whose norm after the last layer is of the same kind
    return config


def _dual(model: Tree) -> dict[str, Any]:
    config: dict[str, Any] = {"embedding": ["dual"], "encoder": "dual", "tie_weights": False}
    streams = list(model["streams"].items())
    if len(streams) != 2:
        raise TPError(f"the model has {len(streams)} streams; the original has two")
    first = None
    for number, (_, stream) in enumerate(streams):
        if isinstance(stream, str) or stream.get("encoder_of"):
            config["tie_weights"] = True
        if isinstance(stream, str):
            config[f"stream_{number}"] = first
            continue
        encoder = stream.get("encoder")
        own = _embedding(stream["embedding"]) | (_encoder(encoder) if encoder else _encoder(streams[0][1]["encoder"]))
        norm = stream["embedding"]["norm"].get("unbiased_layernorm_twice")
        dropout = float(stream["embedding"]["dropout"])
        config["dropout"] = dropout if norm else 1 - (1 - dropout) ** 0.5
        own.setdefault("emb_size", own["hidden_size"])
        own["pooling"] = stream["pooling"]
        config[f"stream_{number}"] = own
        first = first or own
        # Its dataloader of pictures reads the sizes beside the streams, and its siamese script the pooling.
        config |= {key: own[key] for key in ("image_height", "image_width", "patch_size", "channels_num") if key in own}
    poolings = {config[f"stream_{number}"]["pooling"] for number in (0, 1)}
    return config | ({"pooling": poolings.pop()} if len(poolings) == 1 else {})


def _one(tree: Any) -> tuple[str, Tree]:
    """The name and the options of a module."""
    if isinstance(tree, str):
        return tree, {}
    ((name, options),) = tree.items()
    return name, options


def _known(name: str, known: Any, what: str) -> str:
    if name not in known:
        raise TPError(f"the original has no {what} '{name}'; it has {', '.join(known)}")
    return name


def _embedding(component: Tree) -> dict[str, Any]:
    names: list[str] = []
    config: dict[str, Any] = {}
    for module in component["modules"]:
        name, options = _one(module)
        if name in ("segment_weights", "segment_prefix"):
            continue  # the original always has them
        names.append(_EMBEDDINGS[_known(name, _EMBEDDINGS, "embedding")])
        config |= _of_module(name, options)
    if "speech" in names and "max_seq_length" in config:
        config["max_audio_frames"] = config["max_seq_length"]
    norm, _ = _one(component["norm"])
    return {**config, "embedding": names, "remove_embedding_layernorm": norm == "none"}


def _of_module(name: str, options: Tree) -> dict[str, Any]:
    config: dict[str, Any] = {"emb_size": options["embedding_size"]} if options.get("embedding_size") else {}
    if name == "pos":
        config["max_seq_length"] = options["max_length"]
    if name in ("patch", "masked_patch", "word_patch"):
        size, patch = options["image_size"], options["patch_size"]
        height, width = size if isinstance(size, list) else (size, size)
        patch = patch if isinstance(patch, int) else patch[0]
        config |= {"image_height": height, "image_width": width, "patch_size": patch}
        config |= {"channels_num": options["channels"]}
        config |= {"max_seq_length": height // patch * (width // patch) + 1} if name != "word_patch" else {}
        config |= {"seq_length": options["text_length"]} if name == "word_patch" else {}
    if name == "speech":
        sizes = options["kernel_sizes"]
        config |= {"audio_feature_size": options["num_mel_bins"], "conv_kernel_sizes": sizes}
        config |= {"conv_channels": [options["channels"]] * (len(sizes) - 1), "conv_layers_num": len(sizes)}
        config["data_processor"] = "s2t"
    return config


def _encoder(tree: Any) -> dict[str, Any]:
    name, options = _one(tree)
    config = {"encoder": name, "hidden_size": options["hidden_size"], "layers_num": options["num_layers"]}
    if name == "transformer":
        return config | _transformer(options)
    if name == "gatedcnn":
        return config | {key: options[key] for key in ("kernel_size", "block_size")}
    _known(name, ("rnn", "lstm", "gru", "birnn", "bilstm", "bigru"), "encoder")
    return config | ({"bidirectional": True} if options.get("bidirectional") else {})


def _transformer(options: Tree) -> dict[str, Any]:
    mixer, attention = _one(options["mixer"])
    _known(mixer, ("attention",), "mixer")
    kind, inner = _one(options["feed_forward"])
    norm, own = _one(options["norm"])
    positions, table = _one(attention["positions"])
    config: dict[str, Any] = {
        "heads_num": options["num_heads"],
        "feedforward_size": options["feed_forward_size"] or 4 * options["hidden_size"],
        "mask": options["mask"],
        "hidden_act": _NAMES[_known(inner["activation"], _NAMES, "activation")],
        "feed_forward": kind,
        "layernorm": "normal" if norm == "unbiased_layernorm" else "rms",
        "layernorm_eps": own.get("eps", 1e-6),
        "layernorm_positioning": options["norm_position"],
        "remove_transformer_bias": not attention["bias"],
        "remove_attention_scale": attention["scale"] == 1.0,
        "parameter_sharing": options["share_layers"],
        "has_residual_attention": attention["residual"],
    }
    if attention["head_size"]:
        config["attention_head_size"] = attention["head_size"]
    if attention["num_key_value_heads"]:
        config["local_kv_heads_num"] = attention["num_key_value_heads"]
    if positions == "relative":
        config |= {"relative_position_embedding": True, "relative_attention_buckets_num": table["buckets"]}
    if positions == "rotary":
        config["rotary_position_embedding"] = True
    return config


def _targets(trees: list[Any], rows: int) -> dict[str, Any]:
    config: dict[str, Any] = {"target": []}
    for tree in trees:
        name, options = _one(tree)
        known = _known(name, ("mlm", "sp", "itm", "lm", "bilm", "cls", "clr"), "target")
        config["target"].append("sp" if known == "itm" else known)
        if name == "mlm":
            config["hidden_act"] = _NAMES[_known(options["activation"], _NAMES, "activation")]
        if name in ("mlm", "lm"):
            config["tie_weights"] = options["tie"] or config.get("tie_weights", False)
        if options.get("label_smoothing"):
            # The original spreads it over the other tokens, and not over all.
            config["label_smoothing"] = round(options["label_smoothing"] * (rows - 1) / rows, 9) if rows else 0.0
        if name in ("lm", "bilm"):
            config["has_lmtarget_bias"] = options["bias"]
        if name == "cls":
            config |= {"labels_num": options["num_labels"], "pooling": options["pooling"] or "first"}
        if name == "clr":
            config["projection"] = options["projection_size"] is not None
            config |= {"feature_size": options["projection_size"]} if config["projection"] else {}
    return config


def _pooling_of(model: Tree) -> dict[str, Any]:
    """The pooling of the heads of a fine-tuned model, which the original's scripts read from the config."""
    found = [options["pooling"] for each in model["target"] for options in [_one(each)[1]] if options.get("pooling")]
    return {"pooling": found[0]} if found else {}
