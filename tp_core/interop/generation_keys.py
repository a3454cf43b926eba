"""The keys of a generation_config.json, in the current and in older versions of transformers. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys → the equivalent options of ``inference.generate``.
MAPPED: Mapping[str, str] = {
    "max_new_tokens": "max_new_tokens",
    "max_length": "max_length",
    "min_new_tokens": "min_new_tokens",
    "min_length": "min_length",
    "num_beams": "beams",
    "length_penalty": "length_penalty",
    "early_stopping": "early_stopping",
    "do_sample": "sample",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram_size": "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size": "encoder_no_repeat_ngram_size",
    "bad_words_ids": "bad_words_ids",
    "suppress_tokens": "suppress_tokens",
    "begin_suppress_tokens": "begin_suppress_tokens",
    "forced_bos_token_id": "forced_bos_token_id",
    "forced_eos_token_id": "forced_eos_token_id",
    "eos_token_id": "eos_token_id",
    "decoder_start_token_id": "decoder_start_token_id",
}

#: Keys that change the generated text and have no equivalent option → the values with which they have no effect.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "num_return_sequences": (1, None),
    "num_beam_groups": (1, None),
    "diversity_penalty": (0.0, None),
    "penalty_alpha": (None, 0.0),
    "guidance_scale": (None, 1.0),
    "encoder_repetition_penalty": (1.0, None),
    "exponential_decay_length_penalty": (None,),
    "epsilon_cutoff": (0.0, None),
    "eta_cutoff": (0.0, None),
    "top_h": (None,),
    "renormalize_logits": (False, None),
    "sequence_bias": (None,),
    "token_healing": (False, None),
    "watermarking_config": (None,),
    "constraints": (None,),
    "force_words_ids": (None,),
    "max_time": (None,),
    "stop_strings": (None,),
    "dola_layers": (None,),
    "prompt_lookup_num_tokens": (None,),
    "assistant_early_exit": (None,),
    "assistant_ensemble_weight": (None,),
    "use_mtp": (False, None),
    "speculation_type": (None,),
}

#: Keys that never change the generated text.
IRRELEVANT = frozenset(
    {
        # origin of the file
        "transformers_version",
        "_from_model_config",
        "_commit_hash",
        "_original_object_hash",
        "trust_remote_code",
        # implementation
        "use_cache",
        "cache_implementation",
        "cache_config",
        "max_cache_len",
        "compile_config",
        "disable_compile",
        "prefill_chunk_size",
        "continuous_batching_config",
        "low_memory",
        # form of the results
        "return_dict_in_generate",
        "output_attentions",
        "output_hidden_states",
        "output_scores",
        "output_logits",
        "return_legacy_cache",
        # only for assisted generation with a second model, which the caller has to pass
        "is_assistant",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "target_lookbehind",
        "max_matching_ngram_size",
        # padding after a text, and the first input of a model that is called without a prompt
        "pad_token_id",
        "bos_token_id",
        # only for scores that are NaN or infinite
        "remove_invalid_values",
    }
)

#: Special tokens that begin, end and pad a text; config.json has these keys too.
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")

#: Keys of a config.json that transformers reads if there is no generation_config.json.
IN_CONFIG = frozenset({*MAPPED, *NEUTRAL, *SPECIAL, "force_bos_token_to_be_generated", "remove_invalid_values"})
