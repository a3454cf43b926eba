"""Known keys of a tokenizer_config.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tp_text.tokenizers import roles

#: Keys that affect ids or decoded text. transformers applies them when it builds the pipeline.
_MADE = frozenset(
    {
        *(f"{role}_token" for role in roles.ROLES),
        *(
            "add_bos_token",
            "add_eos_token",
            "added_tokens_decoder",
            "extra_special_tokens",
            "additional_special_tokens",
        ),
        *("do_lower_case", "lowercase", "strip_accents", "keep_accents", "remove_space", "tokenize_chinese_chars"),
        *("add_prefix_space", "legacy", "trim_offsets", "errors", "unk_id", "sp_model_kwargs", "wordpieces_prefix"),
        *("do_basic_tokenize", "never_split", "do_word_tokenize", "split_special_tokens"),
        *("clean_up_tokenization_spaces", "model_input_names", "fix_mistral_regex", "model_specific_special_tokens"),
        *("extra_ids", "offset", "mask_token_sent", "do_upper_case"),
        *("word_delimiter_token", "replace_word_delimiter_char", "target_lang", "lang_codes", "tgt_lang"),
    }
)

#: Keys that do not affect ids: names, classes, and defaults of calls in transformers.
_IRRELEVANT = frozenset(
    {
        *("tokenizer_class", "name_or_path", "special_tokens_map_file", "tokenizer_file", "processor_class", "backend"),
        *("is_local", "local_files_only", "use_fast", "from_slow", "transformers_version", "vocab_size", "vocab_file"),
        *("padding_side", "pad_token_type_id", "pad_to_multiple_of", "return_attention_mask", "padding", "truncation"),
        *("max_length", "stride", "truncation_strategy", "max_len", "do_normalize", "init_inputs", "_commit_hash"),
        *("spaces_between_special_tokens", "add_special_tokens", "use_default_system_prompt", "_from_auto"),
        "model_max_length",  # replaced by the processor's max_length
        # Chat templates are kept for the export to Hugging Face.
        *("chat_template", "response_schema"),
    }
)


def remarks(config: Mapping[str, Any]) -> Iterator[str]:
    """Notes for the user on keys that tp ignores or applies differently from transformers."""
    name = "tokenizer_config.json"
    if config.get("truncation_side", "right") != "right":
        yield f"{name}: 'truncation_side' is ignored; each processor of tp has its own rule for cutting long texts"
    if config.get("auto_map"):
        yield f"{name}: 'auto_map' names code in the folder, which is not run; only its files are read"
    if config.get("chat_template"):
        yield f"{name}: 'chat_template' is kept for export only; the options of the processor sft set its template"
    known = _MADE | _IRRELEVANT | {"truncation_side", "auto_map"}
    others = sorted(key for key in config if key not in known)
    if others:
        yield f"{name}: unknown keys, kept for export only: {', '.join(others)}"
