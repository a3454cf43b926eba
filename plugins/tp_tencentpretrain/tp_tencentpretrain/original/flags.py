"""The command-line options of the original's preprocess.py, pretrain.py and fine-tuning scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_tencentpretrain.original.values import DATA_PROCESSORS


class Flag(NamedTuple):
    """An option of the original.

    Attributes:
        kind: the type of its value; bool: it has none.
        many: True if it has several values.
        known: the possible values; empty for any.
        least: the smallest possible number; None for any.
        most: the greatest possible number; None for any.
        above: the number that a value must exceed; None for any.
    """

    kind: type
    many: bool = False
    known: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None


def _flags(kind: type, *names: str, **options: Any) -> dict[str, Flag]:
    return dict.fromkeys(names, Flag(kind, **options))


_POOLINGS = ("mean", "max", "first", "last")

#: The tokenizers of both sides.
TOKENIZERS = ("bert", "bpe", "char", "space", "xlmroberta")

#: Tokenizers without a counterpart: those of pictures need none.
_OTHER_TOKENIZERS = ("image", "text_image", "virtual", "hfpretrained")

#: The options that a config may have, too; the command line goes before the config.
MODEL: Mapping[str, Flag] = {
    **_flags(str, "embedding", "tgt_embedding", "target", many=True),
    **_flags(str, "mask", known=("fully_visible", "causal", "causal_with_prefix")),
    **_flags(str, "encoder", "decoder", "layernorm", "layernorm_positioning", "feed_forward"),
    **_flags(str, "pooling", known=_POOLINGS),
    **_flags(int, "max_seq_length", "relative_attention_buckets_num", "image_height", "image_width", least=1),
    **_flags(int, "patch_size", "channels_num", "max_audio_frames", "conv_layers_num", least=1),
    **_flags(int, "audio_feature_size", "labels_num", least=1),
    **_flags(float, "layernorm_eps", "dropout", least=0),
    **_flags(bool, "share_embedding", "remove_embedding_layernorm", "factorized_embedding_parameterization"),
    **_flags(bool, "relative_position_embedding", "rotary_position_embedding", "remove_attention_scale"),
    **_flags(bool, "alibi_position_embedding", "layer_number_scale"),
    **_flags(bool, "remove_transformer_bias", "bidirectional", "parameter_sharing", "has_residual_attention"),
    **_flags(bool, "has_lmtarget_bias", "tie_weights"),
    **_flags(int, "conv_channels", "conv_kernel_sizes", many=True, least=1),
}

#: Options of data.
DATA: Mapping[str, Flag] = {
    **_flags(str, "corpus_path", "dataset_path", "train_path", "dev_path", "test_path", "label2id_path"),
    **_flags(str, "train_answer_path", "dev_answer_path", "prompt_path", "prompt_id"),
    **_flags(str, "train_features_path", "dev_features_path", "test_features_path"),
    **_flags(str, "dataset_path_list", many=True),
    **_flags(str, "data_processor", known=DATA_PROCESSORS),
    **_flags(str, "tokenizer", known=(*TOKENIZERS, *_OTHER_TOKENIZERS)),
    **_flags(str, "tgt_tokenizer", known=TOKENIZERS),
    **_flags(str, "do_lower_case", "tgt_do_lower_case", known=("true", "false")),
    **_flags(str, "vocab_path", "merges_path", "spm_model_path"),
    **_flags(str, "tgt_vocab_path", "tgt_merges_path", "tgt_spm_model_path"),
    **_flags(int, "seq_length", "dup_factor", "docs_buffer_size", "processes_num", least=1),
    **_flags(float, "short_seq_prob", least=0, most=1),
    **_flags(float, "span_geo_prob", above=0, most=1),
    **_flags(int, "tgt_seq_length", least=2),
    **_flags(int, "span_max_length", "max_choices_num", "doc_stride", least=1),
    **_flags(bool, "json_format_corpus", "full_sentences", "dynamic_masking", "whole_word_masking", "span_masking"),
    **_flags(str, "sentence_selection_strategy", known=("lead", "random")),
    **_flags(str, "image_preprocess", "audio_preprocess", many=True),
    **_flags(int, "sampling_rate", least=1),
    **_flags(str, "vqgan_model_path", "vqgan_config_path"),
}

#: Options of training.
TRAINING: Mapping[str, Flag] = {
    **_flags(str, "pretrained_model_path", "output_model_path", "config_path"),
    **_flags(int, "total_steps", "save_checkpoint_steps", "report_steps", "accumulation_steps", "batch_size", least=1),
    **_flags(int, "epochs_num", least=0),
    **_flags(int, "seed", least=0, most=2**63 - 1),
    **_flags(int, "world_size", "instances_buffer_size", "eval_steps", "folds_num", least=1),
    **_flags(float, "learning_rate", "temperature", above=0, most=1e6),
    **_flags(float, "warmup", "lr_decay", "soft_alpha", least=0, most=1),
    **_flags(str, "optimizer", known=("adamw", "adafactor")),
    **_flags(
        str,
        "scheduler",
        known=(
            *("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"),
            *("inverse_sqrt", "tri_stage"),
        ),
    ),
    **_flags(str, "fp16_opt_level", known=("O0", "O1", "O2", "O3")),
    **_flags(bool, "fp16", "deep_init", "prefix_lm_loss", "crf_target", "soft_targets", "use_adv"),
    **_flags(str, "adv_type", known=("fgm", "pgd")),
    **_flags(float, "fgm_epsilon", "pgd_epsilon", "pgd_alpha", least=0),
    **_flags(int, "pgd_k", least=1),
    **_flags(int, "gpu_ranks", many=True, least=0),
    **_flags(str, "master_ip", "backend", "log_path", "log_level", "log_file_level"),
    **_flags(int, "local_rank"),
    **_flags(bool, "deepspeed", "enable_zero3", "deepspeed_checkpoint_activations"),
    **_flags(str, "deepspeed_config", "resume_from_checkpoint"),
    **_flags(int, "deepspeed_checkpoint_layers_num", least=1),
    **_flags(bool, "use_mp", "use_lora"),
    **_flags(int, "tensor_model_parallel_size", "pipeline_model_parallel_size", "lora_r", "lora_alpha", least=1),
    **_flags(float, "lora_dropout", least=0),
    **_flags(str, "lora_pretrained_model_path"),
    **_flags(int, "batch_size_list", "epochs_num_list", many=True, least=1),
    **_flags(float, "learning_rate_list", many=True, least=0),
}

KNOWN: Mapping[str, Flag] = {**MODEL, **DATA, **TRAINING}


def parse(arguments: Iterable[str]) -> dict[str, Any]:
    """The values of options.

    Raises:
        TPError: an option is unknown, or has no value, or one that the original refuses.
    """
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        text = rest.pop(0)
        name, equals, value = text.removeprefix("--").partition("=")
        if not text.startswith("--") or name not in KNOWN:
            near = did_you_mean(name, KNOWN)
            raise TPError(f"'{text}' is no option of the original{f'; {near}' if near else ''}")
        flag = KNOWN[name]
        values = [value] if equals else []
        if flag.kind is bool:
            if values or (rest and not rest[0].startswith("--")):
                raise TPError(f"--{name} has the value '{(values or rest)[0]}'; expected none")
            found[name] = True
            continue
        while rest and not rest[0].startswith("--") and (flag.many or not values):
            values.append(rest.pop(0))
        if not values:
            raise TPError(f"--{name} has no value")
        made = [_value(name, flag, each) for each in values]
        found[name] = made if flag.many else made[0]
    return found


def check_config(values: Mapping[str, Any], where: str) -> None:
    """Check the options of data and training that a config has.

    Raises:
        TPError: one has a value that the original refuses.
    """
    for key, value in values.items():
        flag = {**DATA, **TRAINING}.get(key)
        if flag is None or value is None or flag.many or key == "tokenizer":  # configs name some that do not exist
            continue
        fits = isinstance(value, (int, float) if flag.kind is float else flag.kind)
        if not fits or (isinstance(value, bool) and flag.kind is not bool):
            raise TPError(f"{where}: '{key}' is {json.dumps(value)}; expected {_EXPECTED[flag.kind]}")
        _check(f"{where}: '{key}'", flag, value)


_EXPECTED = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def _value(name: str, flag: Flag, text: str) -> Any:
    try:
        value = flag.kind(text)
    except ValueError:
        raise TPError(f"--{name} is '{text}'; expected {_EXPECTED[flag.kind]}") from None
    _check(f"--{name}", flag, value)
    return value


def _check(shown: str, flag: Flag, value: Any) -> None:
    if flag.known and value not in flag.known:
        near = did_you_mean(value, flag.known) or f"expected {', '.join(flag.known)}"
        raise TPError(f"{shown} is '{value}'; {near}")
    if flag.least is not None and not value >= flag.least:
        raise TPError(f"{shown} is {value}; expected {flag.least:g} or more")
    if flag.above is not None and not value > flag.above:
        raise TPError(f"{shown} is {value}; expected more than {flag.above:g}")
    if flag.most is not None and not value <= flag.most:
        raise TPError(f"{shown} is {value}; expected {flag.most:g} or less")
