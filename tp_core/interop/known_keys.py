"""The common keys of config.json and preprocessor_config.json that converters need not list. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys of transformers' PreTrainedConfig, in the current and older versions, that never change what a model computes.
IRRELEVANT = frozenset(
    {
        # read before the converter is chosen
        "architectures",
        "model_type",
        # names, versions and origin
        "_name_or_path",
        "name_or_path",
        "_commit_hash",
        "transformers_version",
        "finetuning_task",
        "license",
        "language",
        "unsloth_version",
        "unsloth_fixed",
        # the checkpoint's tensors have their own dtypes
        "dtype",
        "torch_dtype",
        "use_bfloat16",
        # form of the results
        "return_dict",
        "output_attentions",
        "output_hidden_states",
        "output_scores",
        "output_logits",
        "output_past",
        "return_dict_in_generate",
        "use_return_dict",
        "tie_last_hidden_states",
        # implementations that compute the same values
        "use_cache",
        "chunk_size_feed_forward",
        "gradient_checkpointing",
        "attn_implementation",
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_attn_implementation_internal",
        "experts_implementation",
        "_experts_implementation_internal",
        "_flash_attn_2_enabled",
        "torchscript",
        "xla_device",
        "tf_legacy_loss",
        "use_mems_eval",
        # the class that reads the tokenizer's files; the tokenizer's own files have more details
        "tokenizer_class",
        "processor_class",
        # for the same model in a browser
        "transformers.js_config",
        # special tokens; the tokenizer defines them, and a converter reads them if the model depends on one (RoBERTa)
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "sep_token_id",
        "cls_token_id",
        "mask_token_id",
        "unk_token_id",
        # generation presets of some tasks, which only transformers' pipelines read
        "task_specific_params",
        "prefix",
        # the reverse of id2label
        "label2id",
    }
)

#: Keys that only change which tokens are generated → transformers' default. A note lists the values that are not kept.
GENERATION: Mapping[str, Any] = {
    "max_length": 20,
    "max_new_tokens": None,
    "min_length": 0,
    "do_sample": False,
    "early_stopping": False,
    "num_beams": 1,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "typical_p": 1.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "num_return_sequences": 1,
    "remove_invalid_values": False,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "force_bos_token_to_be_generated": False,
    "decoder_start_token_id": None,
}

#: Keys that change a model → the values that every converter accepts, the first being transformers' default.
REQUIRED: Mapping[str, tuple[Any, ...]] = {
    "problem_type": (None, "single_label_classification"),
    "quantization_config": (None,),
    "is_decoder": (False,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "per_layer_config": (None,),
}

#: Keys → the note that the user gets if they have a value.
REMARKS: Mapping[str, str] = {
    "auto_map": "names code that comes with the checkpoint; it is never run, and the model_type alone decides",
}

#: Keys → the reason why other values are refused, for the error message.
REASONS: Mapping[str, str] = {
    "quantization_config": "the weights are quantised; convert the original model",
    "problem_type": "the target of this head has one class for each sample, and a softmax over the classes",
}

#: Keys for the number and the names of classes.
LABELS = ("id2label", "num_labels", "_num_labels")

#: Objects in a processor_config.json that have the form of a preprocessor_config.json.
PARTS = ("image_processor", "feature_extractor")

#: Keys of a preprocessor_config.json that never change the tensors.
PREPROCESSOR_IRRELEVANT = frozenset(
    {
        # the class that reads the file
        "processor_class",
        "tokenizer_class",
        "image_processor_type",
        "feature_extractor_type",
        "auto_map",
        # names and versions
        "_name_or_path",
        "transformers_version",
        # names and form of the results
        "_valid_processor_keys",
        "model_input_names",
        "return_tensors",
        # implementations that compute the same values
        "device",
        "disable_grouping",
        "backend",
    }
)
