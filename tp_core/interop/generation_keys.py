"""The keys of a generation_config.json, of this version of transformers and of older ones. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys that options of ``inference.generate`` stand for → these.
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

#: Keys that change what is written → the values with which they do not.
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

#: Keys that never change what is written.
IRRELEVANT = frozenset(
    {
        # where the file came from
        "transformers_version",
        "_from_model_config",
        "_commit_hash",
        "_original_object_hash",
        "trust_remote_code",
        # how it is computed
        "use_cache",
        "cache_implementation",
        "cache_config",
        "max_cache_len",
        "compile_config",
        "disable_compile",
        "prefill_chunk_size",
        "continuous_batching_config",
        "low_memory",
        # what is handed back
        "return_dict_in_generate",
        "output_attentions",
        "output_hidden_states",
        "output_scores",
        "output_logits",
        "return_legacy_cache",
        # only for a second model, which a call has to name
        "is_assistant",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "target_lookbehind",
        "max_matching_ngram_size",
        # fills what stands behind a text, and the input of a model that is given none
        "pad_token_id",
        "bos_token_id",
        # only where scores are no numbers
        "remove_invalid_values",
    }
)

#: Tokens at the edges of a text, which a config.json has too.
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")

#: Keys of a config.json that transformers reads where there is no generation_config.json.
IN_CONFIG = frozenset({*MAPPED, *NEUTRAL, *SPECIAL, "force_bos_token_to_be_generated", "remove_invalid_values"})
