"""The command-line options of the original's preprocess.py, pretrain.py and fine-tuning scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean


class Flag(NamedTuple):
    """An option of the original.

    Attributes:
        kind: the type of its value; bool: it has none.
        many: True if it has several values.
    """

    kind: type
    many: bool = False


def _flags(kind: type, *names: str) -> dict[str, Flag]:
    return dict.fromkeys(names, Flag(kind))


#: The options that a config may have, too; the command line goes before the config.
MODEL: Mapping[str, Flag] = {
    **dict.fromkeys(("embedding", "tgt_embedding", "target"), Flag(str, many=True)),
    **_flags(str, "encoder", "decoder", "mask", "layernorm", "layernorm_positioning", "feed_forward", "pooling"),
    **_flags(int, "max_seq_length", "relative_attention_buckets_num", "image_height", "image_width", "patch_size"),
    **_flags(int, "channels_num", "max_audio_frames", "conv_layers_num", "audio_feature_size", "labels_num"),
    **_flags(float, "layernorm_eps", "dropout"),
    **_flags(bool, "share_embedding", "remove_embedding_layernorm", "factorized_embedding_parameterization"),
    **_flags(bool, "relative_position_embedding", "rotary_position_embedding", "remove_attention_scale"),
    **_flags(bool, "remove_transformer_bias", "bidirectional", "parameter_sharing", "has_residual_attention"),
    **_flags(bool, "has_lmtarget_bias", "tie_weights"),
    **dict.fromkeys(("conv_channels", "conv_kernel_sizes"), Flag(int, many=True)),
}

#: Options of data and training.
OTHERS: Mapping[str, Flag] = {
    **_flags(str, "corpus_path", "dataset_path", "train_path", "dev_path", "test_path", "label2id_path"),
    **_flags(str, "train_answer_path", "dev_answer_path", "prompt_path", "prompt_id"),
    "dataset_path_list": Flag(str, many=True),
    **_flags(str, "pretrained_model_path", "output_model_path", "config_path", "data_processor"),
    **_flags(str, "tokenizer", "vocab_path", "merges_path", "spm_model_path", "do_lower_case"),
    **_flags(str, "tgt_tokenizer", "tgt_vocab_path", "tgt_merges_path", "tgt_spm_model_path", "tgt_do_lower_case"),
    **_flags(int, "seq_length", "tgt_seq_length", "dup_factor", "docs_buffer_size", "processes_num", "seed"),
    **_flags(float, "short_seq_prob", "span_geo_prob"),
    **_flags(int, "span_max_length", "max_choices_num", "doc_stride"),
    **_flags(bool, "json_format_corpus", "full_sentences", "dynamic_masking", "whole_word_masking", "span_masking"),
    **_flags(str, "sentence_selection_strategy"),
    **_flags(int, "total_steps", "save_checkpoint_steps", "report_steps", "accumulation_steps", "batch_size"),
    **_flags(int, "epochs_num", "world_size", "instances_buffer_size", "eval_steps", "folds_num"),
    **_flags(float, "learning_rate", "warmup", "lr_decay", "temperature", "soft_alpha"),
    **_flags(str, "optimizer", "scheduler", "fp16_opt_level"),
    **_flags(bool, "fp16", "deep_init", "prefix_lm_loss", "crf_target", "soft_targets"),
    **_flags(bool, "use_adv"),
    **_flags(str, "adv_type"),
    **_flags(float, "fgm_epsilon", "pgd_epsilon", "pgd_alpha"),
    **_flags(int, "pgd_k"),
    "gpu_ranks": Flag(int, many=True),
    **_flags(str, "master_ip", "backend", "log_path", "log_level", "log_file_level"),
    **_flags(int, "local_rank"),
    **_flags(bool, "deepspeed", "enable_zero3", "deepspeed_checkpoint_activations"),
    **_flags(str, "deepspeed_config", "resume_from_checkpoint"),
    **_flags(int, "deepspeed_checkpoint_layers_num"),
    **_flags(bool, "use_mp", "use_lora"),
    **_flags(int, "tensor_model_parallel_size", "pipeline_model_parallel_size", "lora_r", "lora_alpha"),
    **_flags(float, "lora_dropout"),
    **_flags(str, "lora_pretrained_model_path", "vqgan_model_path", "vqgan_config_path"),
    **dict.fromkeys(("image_preprocess", "audio_preprocess"), Flag(str, many=True)),
    **_flags(int, "sampling_rate"),
    "batch_size_list": Flag(int, many=True),
    "learning_rate_list": Flag(float, many=True),
    "epochs_num_list": Flag(int, many=True),
}

KNOWN: Mapping[str, Flag] = {**MODEL, **OTHERS}


def parse(arguments: Iterable[str]) -> dict[str, Any]:
    """The options of a command line of the original, which may begin with the name of the script.

    Raises:
        TPError: an option is unknown, or has no value or one of another type.
    """
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest and not rest[0].startswith("--"):
        rest.pop(0)  # python3 pretrain.py, deepspeed pretrain.py
    while rest:
        text = rest.pop(0)
        name, equals, value = text.removeprefix("--").partition("=")
        if not text.startswith("--") or name not in KNOWN:
            near = did_you_mean(name, KNOWN)
            raise TPError(f"'{text}' is no option of the original{f'; {near}' if near else ''}")
        flag = KNOWN[name]
        if flag.kind is bool:
            found[name] = True
            continue
        values = [value] if equals else []
        while rest and not rest[0].startswith("--") and (flag.many or not values):
            values.append(rest.pop(0))
        if not values:
            raise TPError(f"--{name} has no value")
        made = [_value(name, flag, each) for each in values]
        found[name] = made if flag.many else made[0]
    return found


def _value(name: str, flag: Flag, text: str) -> Any:
    try:
        return flag.kind(text)
    except ValueError:
        expected = {int: "an integer", float: "a number"}[flag.kind]
        raise TPError(f"--{name} is '{text}'; expected {expected}") from None
